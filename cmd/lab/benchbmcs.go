package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
	"github.com/muster-boot/muster/provisioner/lab/site"
	"github.com/muster-boot/muster/redfish/bmctest"
)

const (
	benchBMCs    = 200
	benchBMCTime = 15 * time.Minute
)

// benchFamilies are the kinds of BMC, dealt out in turn.
func benchFamilies() []string {
	return []string{"openbmc", "idrac9", "ilo6", "supermicro-x12", "xcc"}
}

// benchManagers lets one server survey many BMCs, power their hosts on with its
// own medium, and verify them. The hosts are of paper: what they cost is small,
// and all else is real.
func benchManagers(ctx context.Context, out io.Writer) error {
	programs, err := site.Built("build")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, benchBMCTime)
	defer cancel()
	rack := site.Network{Network: lab.Network{Name: "rack", Address: netip.MustParsePrefix("10.77.8.1/21")}, DHCPOff: true}
	l, err := lab.Open(ctx, lab.Options{Networks: []lab.Network{rack.Network}})
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := site.Open(ctx, l, site.Options{Programs: programs, Networks: []site.Network{rack}, Config: fmt.Sprintf("power_on: {hosts: %d, every: 1s}\n", benchBMCs)})
	if err != nil {
		return err
	}
	if err := s.Equip(ctx); err != nil {
		return err
	}
	b := &managers{site: s, out: out}
	if err := b.add(ctx, benchBMCs); err != nil {
		return err
	}
	return b.run(ctx)
}

// managers is the bench as it runs.
type managers struct {
	site *site.Site
	out  io.Writer
	bmcs []*bmctest.Emulator
	rows []string
}

// add makes n BMCs with their hosts.
func (b *managers) add(ctx context.Context, n int) error {
	families := benchFamilies()
	scout, err := b.site.Scout(ctx)
	if err != nil {
		return err
	}
	for i := range n {
		family := families[i%len(families)]
		p, err := bmctest.Named(family)
		if err != nil {
			return err
		}
		id := p.Identity(i)
		h, err := b.site.Lab.AddPaper(ctx, lab.Paper{
			BMC:     lab.BMC{Personality: family, Address: rackAddress(256 + i)},
			Address: rackAddress(1024 + i), PaperOptions: bmctest.PaperOptions{Identity: id, Version: scout},
		})
		if err != nil {
			return err
		}
		b.bmcs = append(b.bmcs, h.BMC)
		b.rows = append(b.rows, fmt.Sprintf("%s,%s,paper-%d,%s,%s,%s,%s/21", id.Serial, id.NICs[0].MAC, i, rackAddress(256+i), h.BMC.User(), h.BMC.Password(), rackAddress(1024+i)))
	}
	return nil
}

// rackAddress is the n-th address of the bench's network.
func rackAddress(n int) netip.Addr {
	base := netip.MustParseAddr("10.77.8.0").As4()
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(base[:])+uint32(n))))
}

func (b *managers) run(ctx context.Context) error {
	manifest := "serial,mac,name,bmc_address,bmc_user,bmc_password,address\n" + strings.Join(b.rows, "\n") + "\n"
	if err := b.site.Order(ctx, "name: rack\nprofile: edge-minimum\n", manifest); err != nil {
		return err
	}
	began := time.Now()
	if _, err := b.site.Muster(ctx, "order", "start", "rack"); err != nil {
		return err
	}
	on, err := b.await(ctx, "powered on", func(context.Context) (int, error) { return b.count(booted), nil })
	if err != nil {
		return err
	}
	ready, err := b.await(ctx, "verified and their BMCs tidy", func(ctx context.Context) (int, error) {
		_, hosts, err := b.site.RawHosts(ctx)
		return min(countPhase(hosts, "ready"), b.count(tidy)), err
	})
	if err != nil {
		return err
	}
	return b.print(on.Sub(began), ready.Sub(began))
}

func booted(e *bmctest.Emulator) bool { return len(e.Boots()) > 0 }

func tidy(e *bmctest.Emulator) bool {
	_, enabled, _ := e.Override()
	open, _, _ := e.Sessions()
	return booted(e) && len(e.Inserted()) == 0 && enabled == "Disabled" && open == 0
}

// count is how many BMCs are so.
func (b *managers) count(so func(*bmctest.Emulator) bool) int {
	n := 0
	for _, e := range b.bmcs {
		if so(e) {
			n++
		}
	}
	return n
}

func countPhase(hosts []v1.Host, phase string) int {
	n := 0
	for _, h := range hosts {
		if h.Phase == phase {
			n++
		}
	}
	return n
}

// await waits until all are so far, and says when that was.
func (b *managers) await(ctx context.Context, what string, count func(context.Context) (int, error)) (time.Time, error) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := count(ctx)
		if err == nil && n == len(b.bmcs) {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, errors.Join(fmt.Errorf("%d of %d hosts were %s in time", n, len(b.bmcs), what), err, b.stuck(context.WithoutCancel(ctx)))
		case <-tick.C:
		}
	}
}

// stuck names the first hosts that did not come to their end.
func (b *managers) stuck(ctx context.Context) error {
	const few = 5
	_, hosts, err := b.site.RawHosts(ctx)
	hosts = slices.DeleteFunc(hosts, func(h v1.Host) bool { return h.Phase == "ready" })
	errs := []error{err}
	for _, h := range hosts[:min(few, len(hosts))] {
		errs = append(errs, fmt.Errorf("%s is %s: %s", h.Name, h.Phase, h.Why))
	}
	return errors.Join(errs...)
}

// print says what it took, and is an error where a BMC saw two requests at once.
func (b *managers) print(on, ready time.Duration) error {
	requests, most, crowded := 0, 0, 0
	for _, e := range b.bmcs {
		n := len(e.Requests())
		requests, most = requests+n, max(most, n)
		if peak, _ := e.Peak(); peak > 1 {
			crowded++
		}
	}
	memory, err := peakMemory(b.site.PID())
	n := len(b.bmcs)
	perMinute := func(d time.Duration) float64 { return float64(n) / d.Minutes() }
	fmt.Fprintf(b.out, "\n%d BMCs (%s), hosts of paper, one server\n", n, strings.Join(benchFamilies(), ", "))
	fmt.Fprintf(b.out, "  %-36s %8.1f s  %6.0f BMCs/min\n", "surveyed and powered on", on.Seconds(), perMinute(on))
	fmt.Fprintf(b.out, "  %-36s %8.1f s  %6.0f BMCs/min\n", "verified, medium out, override gone", ready.Seconds(), perMinute(ready))
	fmt.Fprintf(b.out, "  %-36s %8.1f    %6d at most\n", "requests per BMC", float64(requests)/float64(n), most)
	fmt.Fprintf(b.out, "  %-36s %8.1f MB\n", "the server's peak memory", float64(memory)/1e6)
	fmt.Fprintf(b.out, "  %-36s %8d\n", "BMCs that saw two requests at once", crowded)
	if crowded > 0 {
		err = errors.Join(err, fmt.Errorf("%d BMCs were sent two requests at once", crowded))
	}
	return err
}

// peakMemory is the most that a process ever had resident, in bytes; see
// proc_pid_status(5).
func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("the process does not tell its peak memory")
}
