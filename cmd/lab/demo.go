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
	"github.com/muster-boot/muster/provisioner/lab"
	"github.com/muster-boot/muster/provisioner/lab/site"
)

const (
	demoDir     = "build/demo"
	demoTimeout = 10 * time.Minute
	// straySilence is how long the unlisted host is watched after it was seen.
	straySilence = 20 * time.Second
)

// role is one host of the demo and where it must end.
type role struct {
	spec lab.Spec
	end  string // phase
	what string // one line for people
	// finding is the check that must have blocked a host that ends quarantined.
	finding string
}

// demoHandoff is the driver of the demo's order.
const demoHandoff = "callhome"

// judge says what is wrong with a host that should have ended as this role:
// another phase, or the right one without its proof.
func (r role) judge(h v1.Host) error {
	blocks := func(f v1.Finding) bool { return f.Check == r.finding && f.Blocking && f.Sentence != "" }
	switch {
	case h.Phase != r.end:
		return fmt.Errorf("%s is %s, not %s: %s", r.spec.Name, h.Phase, r.end, h.Why)
	case r.end == "registered" && (h.Receipt == nil || h.Receipt.Driver != demoHandoff || h.Receipt.Proof == ""):
		return fmt.Errorf("%s is registered without a receipt of %s: %+v", r.spec.Name, demoHandoff, h.Receipt)
	case r.end == "quarantined" && !slices.ContainsFunc(h.Findings, blocks):
		return fmt.Errorf("%s is quarantined, but not by the check %s: %s", r.spec.Name, r.finding, h.Why)
	case r.end == "unknown" && h.Address != "":
		return fmt.Errorf("%s is in no manifest and was answered: it has the address %s", r.spec.Name, h.Address)
	}
	return nil
}

// cast is the demo's hosts. Only the wrong one differs from edge-minimum.
func cast() []role {
	nvme := []lab.Disk{{Kind: lab.NVMe, GB: 100}}
	scsi := []lab.Disk{{Kind: lab.SCSI, GB: 100}}
	return []role{
		{lab.Spec{Name: "bios-1", Firmware: lab.BIOS, Serial: "MD-0001", UUID: "6d757374-0001-4000-8000-000000000001",
			NICs: []lab.NIC{{MAC: "52:54:00:6d:00:01", Network: "line"}}, Disks: nvme},
			"registered", "BIOS, listed by MAC", ""},
		{lab.Spec{Name: "uefi-1", Firmware: lab.UEFI, Serial: "MD-0002", UUID: "6d757374-0002-4000-8000-000000000002",
			NICs: []lab.NIC{{MAC: "52:54:00:6d:00:02", Network: "bench"}}, Disks: scsi},
			"registered", "UEFI, listed by serial on a discovering network", ""},
		{lab.Spec{Name: "small-1", Firmware: lab.BIOS, Serial: "MD-0003", UUID: "6d757374-0003-4000-8000-000000000003", MemoryMiB: 2048,
			NICs: []lab.NIC{{MAC: "52:54:00:6d:00:03", Network: "line"}}, Disks: nvme},
			"quarantined", "BIOS, 2 GiB of memory where 8 are wanted", "memory"},
		{lab.Spec{Name: "stray-1", Firmware: lab.BIOS, Serial: "MD-0004", UUID: "6d757374-0004-4000-8000-000000000004",
			NICs: []lab.NIC{{MAC: "52:54:00:6d:00:04", Network: "line"}}, Disks: nvme},
			"unknown", "BIOS, in no manifest, on a silent network", ""},
	}
}

func demoNetworks() []site.Network {
	return []site.Network{
		{Network: lab.Network{Name: "line", Address: netip.MustParsePrefix("10.77.1.1/24")}},
		{Network: lab.Network{Name: "bench", Address: netip.MustParsePrefix("10.77.2.1/24")}, Discover: true},
	}
}

const demoOrder = `name: demo
profile: edge-minimum
image: ` + site.ApplianceImage + `
handoff: {driver: ` + demoHandoff + `}
after: reboot
`

const demoManifest = `serial,mac,name
MD-0001,52:54:00:6d:00:01,bios-1
MD-0002,,uefi-1
MD-0003,52:54:00:6d:00:03,small-1
`

// demo runs the main job once: four hosts, one manifest, one verdict each. It
// fails unless every host ends where it should.
func demo(ctx context.Context, out io.Writer) error {
	started := time.Now()
	programs, err := site.Built("build")
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	fmt.Fprintln(out, "demo: making a site of two networks in namespaces of its own, without uplink")
	l, err := lab.Open(bounded, lab.Options{Networks: site.Networks(demoNetworks())})
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := site.Open(bounded, l, site.Options{Programs: programs, Networks: demoNetworks(), Out: out})
	if err != nil {
		return err
	}
	roles, err := powerOn(bounded, s, out)
	if err != nil {
		return errors.Join(err, keepLogs(s))
	}
	err = watchAll(bounded, s, roles, started, out)
	hosts, resultErr := saveResult(ctx, s, started)
	printRows(out, roles, hosts)
	err = errors.Join(err, resultErr, keepLogs(s))
	if os.Getenv("DEMO_KEEP") != "" {
		keep(ctx, s, out)
	}
	return err
}

// powerOn makes the site ready, starts the order and switches every host on.
func powerOn(ctx context.Context, s *site.Site, out io.Writer) ([]role, error) {
	if err := s.Equip(ctx); err != nil {
		return nil, err
	}
	if err := s.Order(ctx, demoOrder, demoManifest); err != nil {
		return nil, err
	}
	if _, err := s.Muster(ctx, "order", "start", "demo"); err != nil {
		return nil, err
	}
	roles := cast()
	var g errgroup.Group
	for _, r := range roles {
		h, err := s.Lab.AddHost(ctx, r.spec)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "demo: power on %-8s %s\n", r.spec.Name, r.what)
		g.Go(func() error { return h.PowerOn(ctx) })
	}
	return roles, g.Wait()
}

// watchAll prints each host's moves and returns when all have ended, with an
// error for each that ended elsewhere than it should.
func watchAll(ctx context.Context, s *site.Site, roles []role, started time.Time, out io.Writer) error {
	var g errgroup.Group
	for _, r := range roles {
		g.Go(func() error {
			if r.end == "unknown" {
				return watchStray(ctx, s, r, started, out)
			}
			return watchHost(ctx, s, r, started, out)
		})
	}
	return g.Wait()
}

// watchHost follows a host until it is where it should end, or is stuck.
func watchHost(ctx context.Context, s *site.Site, r role, started time.Time, out io.Writer) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	phase := ""
	for {
		h, err := s.Client.Host(ctx, r.spec.Name)
		if err == nil && h.Phase != phase {
			phase = h.Phase
			fmt.Fprintf(out, "demo: %5.1fs  %-8s %-11s %s\n", time.Since(started).Seconds(), r.spec.Name, h.Phase, h.Why)
		}
		switch phase {
		case r.end, "failed", "quarantined", "registered":
			return r.judge(h)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %s, not %s: %w", r.spec.Name, phase, r.end, ctx.Err())
		case <-tick.C:
		}
	}
}

// watchStray waits until the unlisted host was seen, watches that nothing
// answers it, and switches it off.
func watchStray(ctx context.Context, s *site.Site, r role, started time.Time, out io.Writer) error {
	mac := r.spec.NICs[0].MAC
	h, err := s.Await(ctx, mac, "unknown")
	if err != nil {
		return fmt.Errorf("%s was never seen: %w", r.spec.Name, err)
	}
	fmt.Fprintf(out, "demo: %5.1fs  %-8s %-11s %s\n", time.Since(started).Seconds(), r.spec.Name, h.Phase, h.Why)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(straySilence):
	}
	if h, err = s.Client.Host(ctx, mac); err != nil {
		return err
	}
	if err := r.judge(h); err != nil {
		return err
	}
	i := slices.IndexFunc(s.Lab.Hosts(), func(h *lab.Host) bool { return h.Spec().Name == r.spec.Name })
	fmt.Fprintf(out, "demo: %5.1fs  %-8s was never answered; switching it off\n", time.Since(started).Seconds(), r.spec.Name)
	return s.Lab.Hosts()[i].PowerOff(ctx)
}

// result is build/demo/result.json: the hosts as the API gave them.
type result struct {
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended"`
	Hosts   json.RawMessage `json:"hosts"`
}

func saveResult(ctx context.Context, s *site.Site, started time.Time) ([]v1.Host, error) {
	raw, hosts, err := s.RawHosts(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(result{Started: started, Ended: time.Now(), Hosts: raw}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(demoDir, 0o755); err != nil {
		return nil, err
	}
	return hosts, os.WriteFile(filepath.Join(demoDir, "result.json"), append(text, '\n'), 0o644)
}

func printRows(out io.Writer, roles []role, hosts []v1.Host) {
	fmt.Fprintf(out, "\n%-8s  %-12s  %-9s  %-12s  %-9s  %s\n", "HOST", "SERIAL", "BOOT", "PHASE", "AS WANTED", "WHY")
	for _, r := range roles {
		i := slices.IndexFunc(hosts, func(h v1.Host) bool { return slices.Contains(h.MACs, r.spec.NICs[0].MAC) })
		h := v1.Host{Phase: "never seen"}
		if i >= 0 {
			h = hosts[i]
		}
		verdict := "no"
		if r.judge(h) == nil {
			verdict = "yes"
		}
		fmt.Fprintf(out, "%-8s  %-12s  %-9s  %-12s  %-9s  %s\n", r.spec.Name, h.Serial, h.Boot, h.Phase, verdict, h.Why)
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
