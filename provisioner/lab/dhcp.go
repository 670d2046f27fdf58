package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// ServeDHCP runs dnsmasq on a network, in a namespace of its own with the
// address at: somebody else's DHCP server, which gives addresses and nothing to
// boot. It returns when it serves, and ends with the lab.
func (l *Lab) ServeDHCP(ctx context.Context, network string, at netip.Prefix, from, to netip.Addr) error {
	ns, err := l.Client(ctx, network, at)
	if err != nil {
		return err
	}
	name := filepath.Join(l.dir, "dnsmasq-"+network)
	log, err := os.Create(name + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	// Not bound to ctx: the lab's guard ends it.
	cmd := ns.Command(context.Background(), "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--log-dhcp",
		"--user=root", "--pid-file="+name+".pid", "--dhcp-leasefile="+name+".leases",
		"--port=0", "--interface=eth0", "--bind-interfaces", "--dhcp-authoritative", "--no-ping",
		fmt.Sprintf("--dhcp-range=%s,%s,10m", from, to))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start dnsmasq on %s: %w: run make lab", network, err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	return awaitFile(ctx, name+".pid", gone, log.Name())
}

// awaitFile waits for what a server writes when it is ready.
func awaitFile(ctx context.Context, path string, gone <-chan error, log string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-gone:
			said, _ := os.ReadFile(log) // as far as it came
			return fmt.Errorf("dnsmasq ended: %w\n%s", err, said)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
