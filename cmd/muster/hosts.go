package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) hostCommands() *cobra.Command {
	return group("host", "Hosts: a HOST is an id, serial, name or MAC",
		s.hostList(), s.hostShow(), s.hostWatch(), s.hostWhy(), s.hostMedium(), s.hostApprove(), s.hostHold(),
		s.hostAct("release", "Let a held or quarantined host go on",
			"Let a held or quarantined host go on. Mend first what was found: it is looked at\nanew when it next boots from the network, which its BMC, if it has one, sees to.", "released", (*client.Client).Release),
		s.hostAct("retry", "Try again from the start",
			"Try again from the start: at once where the host has a BMC, else when it next boots\nfrom the network. A host that is quarantined needs release instead.", "to be tried again from the start", (*client.Client).Retry),
		s.hostAct("reinstall", "Install anew; the host's disk may be erased once",
			"Install anew: at once where the host has a BMC, else when it next boots from the\nnetwork. What is on its install disk may then be erased, once. A host that is\ninstalling must be held first.", "to be installed anew, and its disk may be erased", (*client.Client).Reinstall),
		s.hostRemove())
}

func (s *session) hostList() *cobra.Command {
	var order, phase string
	cmd := &cobra.Command{
		Use: "list", Short: "List hosts", Args: exactly(0),
		Example: "  muster host list --order plant7\n  muster host list --phase quarantined -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			hosts, err := c.Hosts(cmd.Context(), order, phase)
			if refused, is := errors.AsType[*v1.Problem](err); is && refused.Kind == "invalid" {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			return s.show(hostList(hosts))
		},
	}
	cmd.Flags().StringVar(&order, "order", "", "only hosts of this order")
	cmd.Flags().StringVar(&phase, "phase", "", "only hosts in this phase")
	return s.reading(cmd)
}

// whyShown is how much of a sentence fits in a line of 110 characters; host why
// says all of it.
const whyShown = 40

type hostList []v1.Host

func (l hostList) table(t *table) {
	t.row("HOST", "ORDER", "PHASE", "SINCE", "SERIAL/MAC", "IMAGE", "WHY")
	for _, h := range l {
		t.row(cmp.Or(h.Name, h.ID), h.Order, h.Phase, t.age(h.Since), cmp.Or(h.Serial, first(h.MACs)),
			cmp.Or(h.ImageName, short(h.Image)), cmp.Or(moving(h), clip(h.Why, whyShown)))
	}
}

// moving is how far a host's transfer is, while there is one.
func moving(h v1.Host) string {
	p := h.Progress
	if h.Phase != "installing" || p == nil || p.Bytes == 0 || p.Bytes == p.Total {
		return ""
	}
	return transfer(*p)
}

// transfer is a stage in a few words: "rootfs 43 % 12.0 MB/s 8s".
func transfer(p v1.Progress) string {
	words := []string{p.Stage}
	switch {
	case p.Total > 0:
		words = append(words, fmt.Sprintf("%d %%", 100*p.Bytes/p.Total))
	case p.Bytes > 0:
		words = append(words, size(p.Bytes))
	}
	if p.Rate > 0 {
		words = append(words, size(p.Rate)+"/s")
	}
	if p.ETA != nil && *p.ETA > 0 {
		words = append(words, span(time.Duration(*p.ETA)*time.Second))
	}
	return strings.Join(words, " ")
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (s *session) hostShow() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "show HOST", Short: "Show one host with its hardware", Args: exactly(1),
		Example: "  muster host show 52:54:00:12:34:56",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			h, err := c.Host(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(hostCard(h))
		},
	})
}

type hostCard v1.Host

func (h hostCard) table(t *table) {
	t.row("host", h.ID)
	t.row("name", h.Name)
	t.row("order", h.Order)
	t.row("serial", h.Serial)
	t.row("uuid", h.UUID)
	t.row("macs", strings.Join(h.MACs, " "))
	t.row("phase", h.Phase+" for "+t.age(h.Since))
	t.row("why", h.Why)
	t.row("next", h.NextEvidence)
	t.row("deadline", t.until(h.Deadline))
	t.row("attempt", h.Attempt)
	t.row("held", h.Hold)
	t.row("boot", h.Boot)
	t.row("address", h.Address)
	t.row("profile", h.Profile)
	t.row("image", strings.TrimSpace(h.ImageName+" "+short(h.Image)))
	t.row("way", h.Way)
	t.row("hand-off", h.Handoff)
	if h.BMC != nil {
		controllerRows(t, *h.BMC)
	}
	if h.Static != nil {
		t.row("network", network(*h.Static))
	}
	if p := h.Progress; p != nil {
		t.row("progress", strings.TrimSpace(transfer(*p)+" "+p.Detail)+", "+t.age(p.At)+" ago")
		for _, s := range p.Stages {
			t.row("stage", s.At.Local().Format("15:04:05")+" "+transfer(v1.Progress{Stage: s.Stage, Bytes: s.Bytes, Total: s.Total, Rate: s.Rate}))
		}
	}
	if r := h.Receipt; r != nil {
		t.row("receipt", r.Driver+" "+r.ID+" ("+r.Proof+")")
	}
	if s := h.Shipment; s != nil {
		t.row("shipment", s.Proof)
		t.row("record", s.Record)
	}
	for _, f := range h.Findings {
		t.row("finding", f.Sentence)
	}
	if h.Report != nil {
		hardware(t, *h.Report)
	}
}

// network is a host's own address in a few words.
func network(s v1.Static) string {
	words := []string{cmp.Or(s.Address, "by DHCP")}
	for _, part := range []struct{ word, value string }{
		{"gateway", s.Gateway}, {"dns", strings.Join(s.DNS, " ")}, {"port", s.MAC},
	} {
		if part.value != "" {
			words = append(words, part.word+" "+part.value)
		}
	}
	if s.VLAN != 0 {
		words = append(words, fmt.Sprintf("vlan %d", s.VLAN))
	}
	return strings.Join(words, ", ")
}

func hardware(t *table, r v1.Summary) {
	t.row("system", r.Manufacturer+" "+r.Product+", "+r.Firmware)
	t.row("cpu", first(r.CPUs))
	t.row("memory", memory(r.Memory))
	for _, d := range r.Disks {
		t.row("disk", d.Name+" "+d.Model+" "+d.Serial+", "+size(int64(d.Size)))
	}
	for _, n := range r.NICs {
		t.row("nic", n.Name+" "+n.MAC+" "+n.Driver+", "+link(n.Link))
	}
	for _, text := range append(r.Gaps, r.Problems...) {
		t.row("trouble", text)
	}
}

func link(up *bool) string {
	switch {
	case up == nil:
		return "link unknown"
	case *up:
		return "link"
	}
	return "no link"
}

func (s *session) hostWhy() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "why HOST", Short: "Say why a host is where it is, and what it waits for", Args: exactly(1),
		Long:    "Say why a host is where it is, and what it waits for.\nThe exit code is 1 where the host is failed or quarantined.",
		Example: "  muster host why rack4-u12",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			why, err := c.Why(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := s.show(hostWhy(why)); err != nil {
				return err
			}
			return verdict(why.Host.Phase)
		},
	})
}

// verdict is no for a host that went wrong.
func verdict(phase string) error {
	if phase == "failed" || phase == "quarantined" {
		return errNo
	}
	return nil
}

type hostWhy v1.Why

func (w hostWhy) table(t *table) {
	h := w.Host
	t.line(cmp.Or(h.Name, h.ID) + " is " + h.Phase + " for " + t.age(h.Since) + ". " + h.Why)
	if h.Hold != "" && !strings.Contains(h.Why, h.Hold) {
		t.line("Held: " + oneLine(h.Hold))
	}
	for _, f := range h.Findings {
		if !strings.Contains(h.Why, f.Sentence) {
			t.line("Found: " + oneLine(f.Sentence))
		}
	}
	t.line(h.NextEvidence)
	if h.Deadline != nil {
		t.line("Deadline: " + t.until(h.Deadline) + ".")
	}
	t.line("")
	for _, e := range w.Recent {
		t.row(e.At.Local().Format("15:04:05"), e.Phase, e.By, e.Text)
	}
}

func (s *session) hostMedium() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "medium HOST", Short: "Say where the host's own ISO is", Args: exactly(1),
		Long: "Say where the host's own ISO of its present attempt is, and who has read of it.\n" +
			"Whoever has the URL can read the host's configuration.",
		Example: "  muster host medium rack4-u12",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			m, err := c.Medium(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(medium(m))
		},
	})
}

type medium v1.Medium

func (m medium) table(t *table) {
	t.line(m.URL)
	t.line(m.Say)
	t.row("attempt", m.Attempt)
	t.row("way", m.Way)
	t.row("size", size(m.Size))
	for _, r := range m.Readers {
		t.row("read", fmt.Sprintf("%s, %s, first %s ago, last %s ago", r.Address, size(r.Bytes), t.age(r.First), t.age(r.Last)))
	}
}

func (s *session) hostApprove() *cobra.Command {
	var order string
	cmd := &cobra.Command{
		Use: "approve HOST --order ORDER", Short: "Take a discovered, unlisted host into an order", Args: exactly(1),
		Example: "  muster host approve h-7q2mk4xw --order plant7",
		RunE: func(cmd *cobra.Command, args []string) error {
			if order == "" {
				return usage("name the order: %s", cmd.UseLine())
			}
			return s.acted(cmd, args[0], "in order "+order, func(c *client.Client, ctx context.Context, ref string) (v1.Host, error) {
				return c.Approve(ctx, ref, order)
			})
		},
	}
	cmd.Flags().StringVar(&order, "order", "", "the order")
	return s.reading(cmd)
}

func (s *session) hostHold() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "hold HOST --reason TEXT", Short: "Stop a host until it is released", Args: exactly(1),
		Example: "  muster host hold rack4-u12 --reason 'fan rattles'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("say why, for the next person: %s", cmd.UseLine())
			}
			return s.acted(cmd, args[0], "held", func(c *client.Client, ctx context.Context, ref string) (v1.Host, error) {
				return c.Hold(ctx, ref, reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return s.reading(cmd)
}

// action is a call that changes a host and returns it.
type action func(c *client.Client, ctx context.Context, ref string) (v1.Host, error)

func (s *session) hostAct(verb, short, long, now string, do action) *cobra.Command {
	return s.reading(&cobra.Command{
		Use: verb + " HOST", Short: short, Long: long, Args: exactly(1),
		Example: "  muster host " + verb + " rack4-u12",
		RunE:    func(cmd *cobra.Command, args []string) error { return s.acted(cmd, args[0], now, do) },
	})
}

// acted does an action and says what the host now is. The engine moves it a
// moment later, so its phase is not printed here.
func (s *session) acted(cmd *cobra.Command, ref, now string, do action) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	h, err := do(c, cmd.Context(), ref)
	if err != nil {
		return err
	}
	if s.format == asJSON {
		return s.showJSON(h)
	}
	name := cmp.Or(h.Name, h.ID)
	say(s.out, "%s is %s. See what comes of it: muster host why %s", name, now, name)
	return nil
}

func (s *session) hostRemove() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "rm HOST...", Short: "Forget hosts; their journals stay", Args: atLeast(1), DisableFlagsInUseLine: true,
		Example: "  muster host rm h-7q2mk4xw",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			return s.each(args, func(ref string) error { return c.Remove(cmd.Context(), ref, force) })
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also a host that muster is working on")
	return cmd
}
