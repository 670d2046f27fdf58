package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
	"github.com/muster-boot/muster/provisioner/lab"
	"github.com/muster-boot/muster/provisioner/lab/site"
)

const (
	demoDir     = "build/demo"
	demoTimeout = 12 * time.Minute
)

// demo runs the main job once: a few orders, one verdict for each host. It fails
// unless every host ends where it should.
func demo(ctx context.Context, out io.Writer) error {
	programs, err := site.Built("build")
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	fmt.Fprintf(out, "demo: making a site of %d networks in namespaces of its own, without uplink\n", len(demoNetworks()))
	l, err := lab.Open(bounded, lab.Options{Networks: site.Networks(demoNetworks())})
	if err != nil {
		return err
	}
	defer l.Close()
	beside, err := site.OpenHandoffs(l, netip.MustParseAddrPort("10.77.1.1:443"))
	if err != nil {
		return err
	}
	defer beside.Palette.Close()
	p := &play{out: out, started: time.Now(), palette: beside.Palette}
	if p.site, err = site.Open(bounded, l, site.Options{Programs: programs, Networks: demoNetworks(), Out: out, Config: beside.Config}); err != nil {
		return err
	}
	batches := cast()
	err = p.run(bounded, batches)
	hosts, resultErr := p.saveResult(ctx)
	printRows(out, roles(batches), hosts)
	err = errors.Join(err, resultErr, keepLogs(p.site))
	if os.Getenv("DEMO_KEEP") != "" {
		keep(ctx, p.site, out)
	}
	return err
}

// play is the demo as it runs.
type play struct {
	site    *site.Site
	palette *palettetest.Listening // what the demo runs in place of Palette
	out     io.Writer
	started time.Time
}

// run starts one batch after the other, as QEMU slots become free, and returns
// when every host has ended, with an error for each that ended elsewhere than it
// should.
func (p *play) run(ctx context.Context, batches []batch) error {
	if err := p.site.Equip(ctx); err != nil {
		return err
	}
	var hosts errgroup.Group
	var errs []error
	for _, b := range batches {
		if err := p.start(ctx, b, &hosts); err != nil {
			errs = append(errs, err)
			break
		}
	}
	return errors.Join(append(errs, hosts.Wait())...)
}

// start imports a batch's order, says go, and has each host watched.
func (p *play) start(ctx context.Context, b batch, watched *errgroup.Group) error {
	if b.before != nil {
		if err := b.before(ctx, p.site); err != nil {
			return err
		}
	}
	var hosts []*lab.Host
	for _, r := range b.hosts {
		h, err := p.site.Lab.AddHost(ctx, r.spec)
		if err == nil {
			err = h.Reserve(ctx)
		}
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	if err := p.order(ctx, b); err != nil {
		return err
	}
	for i, r := range roles([]batch{b}) {
		h := hosts[i]
		if r.spec.BMC == nil {
			p.say(r, "power on", r.what)
			if err := h.PowerOn(ctx); err != nil {
				return err
			}
		} else {
			p.say(r, "left off", r.what)
		}
		watched.Go(func() error { return p.attend(ctx, r, h) })
	}
	return nil
}

// order imports and starts the order of a batch that has one.
func (p *play) order(ctx context.Context, b batch) error {
	if b.name == "" {
		return nil
	}
	order, manifest := b.files()
	if err := p.site.Order(ctx, order, manifest); err != nil {
		return err
	}
	_, err := p.site.Muster(ctx, "order", "start", b.name)
	return err
}

// say prints what happens to a host, and when.
func (p *play) say(r role, what, why string) {
	fmt.Fprintf(p.out, "demo: %5.1fs  %-8s %-11s %s\n", time.Since(p.started).Seconds(), r.spec.Name, what, why)
}

// result is build/demo/result.json: the hosts as the API gave them.
type result struct {
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended"`
	Hosts   json.RawMessage `json:"hosts"`
}

func (p *play) saveResult(ctx context.Context) ([]v1.Host, error) {
	raw, hosts, err := p.site.RawHosts(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(result{Started: p.started, Ended: time.Now(), Hosts: raw}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(demoDir, 0o755); err != nil {
		return nil, err
	}
	return hosts, os.WriteFile(filepath.Join(demoDir, "result.json"), append(text, '\n'), 0o644)
}

func printRows(out io.Writer, all []role, hosts []v1.Host) {
	const form = "%-8s  %-8s  %-13s  %-11s  %-9s  %s\n"
	fmt.Fprintf(out, "\n"+form, "HOST", "SERIAL", "BOOT", "PHASE", "AS WANTED", "WHY")
	for _, r := range all {
		i := slices.IndexFunc(hosts, func(h v1.Host) bool { return slices.Contains(h.MACs, r.spec.NICs[0].MAC) })
		h := v1.Host{Phase: "never seen"}
		if i >= 0 {
			h = hosts[i]
		}
		verdict := "no"
		if r.judge(h) == nil {
			verdict = "yes"
		}
		fmt.Fprintf(out, form, r.spec.Name, h.Serial, h.Boot, h.Phase, verdict, h.Why)
	}
	fmt.Fprintf(out, "\nresult: %s/result.json; consoles and server log beside it\n", demoDir)
}

// keepLogs copies consoles and the server's log, which go with the lab.
func keepLogs(s *site.Site) error {
	if err := os.MkdirAll(demoDir, 0o755); err != nil {
		return err
	}
	files := map[string]string{"muster.log": s.LogPath()}
	for _, h := range s.Lab.Hosts() {
		files[h.Spec().Name+".console"] = h.Console()
	}
	var errs []error
	for name, from := range files {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(demoDir, name), data, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// keep leaves the site up until it is interrupted.
func keep(ctx context.Context, s *site.Site, out io.Writer) {
	fmt.Fprintf(out, "\nDEMO_KEEP: the site stays up until Ctrl-C.\n  %s\n  %s\n",
		strings.Join([]string{"MUSTER_SERVER=" + s.Socket(), s.Programs().Muster, "host list"}, " "),
		"ip netns exec "+s.Lab.Server().Name()+" bash")
	<-ctx.Done()
}
