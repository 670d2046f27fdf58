package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
	"github.com/muster-boot/muster/provisioner/lab/site"
)

// benchHosts takes one BIOS and one UEFI host, one after the other, from power-on to
// registered and prints where the time went. Figures of other machines differ;
// the share that muster adds is what is held against the goal, and fails it.
func benchHosts(ctx context.Context, out io.Writer) error {
	programs, err := site.Built("build")
	if err != nil {
		return err
	}
	if err := printSizes(out, programs); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*demoTimeout)
	defer cancel()
	var errs []error
	for _, r := range roles([]batch{netboot()})[:2] {
		if err := benchHost(ctx, out, programs, r); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.spec.Name, err))
		}
	}
	return errors.Join(errs...)
}

func benchHost(ctx context.Context, out io.Writer, programs site.Programs, r role) error {
	l, err := lab.Open(ctx, lab.Options{Networks: site.Networks(demoNetworks())})
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := site.Open(ctx, l, site.Options{Programs: programs, Networks: demoNetworks()})
	if err != nil {
		return err
	}
	if err := printIdle(out, s); err != nil {
		return err
	}
	if err := s.Equip(ctx); err != nil {
		return err
	}
	order, manifest := netboot().files()
	if err := s.Order(ctx, order, manifest); err != nil {
		return err
	}
	if _, err := s.Muster(ctx, "order", "start", "demo"); err != nil {
		return err
	}
	h, err := l.AddHost(ctx, r.spec)
	if err != nil {
		return err
	}
	on := time.Now()
	if err := h.PowerOn(ctx); err != nil {
		return err
	}
	if _, err := s.Await(ctx, r.spec.Name, "registered"); err != nil {
		return err
	}
	return printStages(ctx, out, s, r, on)
}

// mark is the journal line that ends a stage.
type mark struct{ stage, text string }

// marks are the stages of a host's way, in order.
func marks() []mark {
	return []mark{
		{"firmware", "Seen for the first time"},
		{"loader", "Stage script"},
		{"kernel", "The scout (version"},
		{"scout", "-> verifying"},
		{"verify", "-> installing"},
		{"installer start", "Stage rootfs"},
		{"install", "Stage written"},
		{"boot", "-> installed"},
		{"register", "-> registered"},
	}
}

func printStages(ctx context.Context, out io.Writer, s *site.Site, r role, on time.Time) error {
	entries, err := s.Client.Journal(ctx, r.spec.Name, "")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s (%s)\n  %-16s %8s %8s\n", r.spec.Name, r.what, "STAGE", "SECONDS", "AT")
	last := on
	for _, m := range marks() {
		at, ok := find(entries, m.text)
		if !ok {
			fmt.Fprintf(out, "  %-16s %8s\n", m.stage, "unseen")
			continue
		}
		fmt.Fprintf(out, "  %-16s %8.1f %8.1f\n", m.stage, at.Sub(last).Seconds(), at.Sub(on).Seconds())
		last = at
	}
	w, err := waits(s.LogPath())
	if err != nil {
		return err
	}
	return printShare(out, w, last.Sub(on))
}

func find(entries []v1.Entry, text string) (time.Time, bool) {
	for _, e := range entries {
		if strings.Contains(e.Text, text) {
			return e.At, true
		}
	}
	return time.Time{}, false
}

func printSizes(out io.Writer, p site.Programs) error {
	for _, f := range []struct {
		name, path string
		goal       int64
	}{{"muster", p.Muster, 40}, {"scout", p.Scout, 12}} {
		st, err := os.Stat(f.path)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-8s %6.1f MB (goal: under %d)\n", f.name, float64(st.Size())/1e6, f.goal)
	}
	return nil
}

// printIdle prints the resident memory of a server that serves nobody yet.
func printIdle(out io.Writer, s *site.Site) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if rss, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Fprintf(out, "idle     %s resident (goal: under 80 MB)\n", strings.TrimSpace(rss))
		}
	}
	return nil
}
