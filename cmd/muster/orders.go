package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) orderCommands() *cobra.Command {
	return group("order", "Orders: a batch of hosts for one purpose",
		s.orderImport(), s.orderLint(), s.orderList(), s.orderShow(), s.orderCheck(),
		s.orderStart("start", "Let the hosts of an order be installed", (*client.Client).Start),
		s.orderStart("stop", "Let no further host of an order begin to install", (*client.Client).Stop))
}

func (s *session) orderImport() *cobra.Command {
	var profiles []string
	cmd := &cobra.Command{
		Use: "import ORDER.yaml HOSTS.csv", Short: "Take in an order with its manifest, in whole or not at all", Args: exactly(2),
		Long: "Take in an order with its manifest, in whole or not at all.\n" +
			"The same order imported again updates its hosts by serial, UUID or MAC.",
		Example: "  muster order import plant7.yaml plant7.csv --profile our-model.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := readImport(args[0], args[1], profiles)
			if err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			report, err := c.Import(cmd.Context(), in)
			if err != nil {
				return err
			}
			return s.show(imported(report))
		},
	}
	cmd.Flags().StringArrayVar(&profiles, "profile", nil, "file of a profile that the order names; may come again")
	return s.reading(cmd)
}

// readImport reads the files of an order. The order names the files of its BMCs'
// passwords from where it lies itself.
func readImport(order, manifest string, profiles []string) (v1.Import, error) {
	in := v1.Import{Profiles: []string{}}
	var err error
	if in.Order, err = readFile(order); err != nil {
		return in, err
	}
	if in.Manifest, err = readFile(manifest); err != nil {
		return in, err
	}
	password, fresh := api.PasswordFiles(in.Order)
	if in.BMCPassword, err = readBeside(order, password); err != nil {
		return in, err
	}
	if in.BMCNewPassword, err = readBeside(order, fresh); err != nil {
		return in, err
	}
	for _, name := range profiles {
		text, err := readFile(name)
		if err != nil {
			return in, err
		}
		in.Profiles = append(in.Profiles, text)
	}
	return in, nil
}

// readBeside reads a file that another one names; nothing where it names none.
func readBeside(other, name string) (string, error) {
	switch {
	case name == "":
		return "", nil
	case !filepath.IsAbs(name):
		name = filepath.Join(filepath.Dir(other), name)
	}
	return readFile(name)
}

// readFile reads a file that was named on the command line.
func readFile(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", usageError{err}
	}
	return string(text), nil
}

type imported v1.Imported

func (i imported) table(t *table) {
	t.line(fmt.Sprintf("Order %s: hosts listed %d, added %d, changed %d, removed %d, kept though no longer listed %d.",
		i.Order, i.Hosts, len(i.Added), len(i.Changed), len(i.Removed), len(i.Kept)))
	for _, w := range i.Warnings {
		t.line("warning: " + w.String())
	}
}

func (s *session) orderLint() *cobra.Command {
	var profiles []string
	cmd := &cobra.Command{
		Use: "lint ORDER.yaml HOSTS.csv", Short: "Check an order and its manifest and change nothing", Args: exactly(2),
		Long: "Check an order and its manifest and change nothing. Whether image, hand-off and the\n" +
			"values that templates name are there only the server knows: it is asked where it\n" +
			"answers, and not missed where it does not.",
		Example: "  muster order lint plant7.yaml plant7.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := readImport(args[0], args[1], profiles)
			if err != nil {
				return err
			}
			draft, wrong := api.ReadDraft(in)
			l := lint{Errors: append([]v1.Remark{}, wrong...), Warnings: append([]v1.Remark{}, draft.Warnings...), Hosts: len(draft.Rows)}
			if len(wrong) == 0 {
				if l, err = s.askServer(cmd.Context(), in, draft, l); err != nil {
					return err
				}
			}
			if err := s.show(l); err != nil {
				return err
			}
			if len(l.Errors) > 0 {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&profiles, "profile", nil, "file of a profile that the order names; may come again")
	return s.reading(cmd)
}

// askServer adds to a lint of files what the server says, if there is one.
func (s *session) askServer(ctx context.Context, in v1.Import, draft api.Draft, l lint) (lint, error) {
	c, err := s.client()
	if err != nil {
		return l, err
	}
	report, err := c.Lint(ctx, in)
	var away *client.Unreachable
	var problem *v1.Problem
	switch {
	case err == nil:
		l.Server, l.Warnings = true, report.Warnings
	case errors.As(err, &away):
		l.Warnings = append(l.Warnings, draft.Locked()...)
		return l, nil
	case errors.As(err, &problem) && len(problem.Errors) > 0:
		l.Server, l.Errors = true, problem.Errors
	default:
		return l, err
	}
	return l, nil
}

// lint is what a lint found.
type lint struct {
	Hosts    int         `json:"hosts"`
	Server   bool        `json:"server"` // was asked too
	Errors   []v1.Remark `json:"errors"`
	Warnings []v1.Remark `json:"warnings"`
}

func (l lint) table(t *table) {
	for _, e := range l.Errors {
		t.line("error: " + e.String())
	}
	for _, w := range l.Warnings {
		t.line("warning: " + w.String())
	}
	if len(l.Errors) == 0 {
		t.line(fmt.Sprintf("Nothing to correct; hosts listed %d.", l.Hosts))
	}
	if len(l.Errors) == 0 && !l.Server {
		t.line("No server was asked: whether the image, the hand-off and what templates name are there, order import checks.")
	}
}

func (s *session) orderList() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "list", Short: "List orders", Args: exactly(0), Example: "  muster order list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			orders, err := c.Orders(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(orderList(orders))
		},
	})
}

type orderList []v1.Order

func (l orderList) table(t *table) {
	t.row("ORDER", "HOSTS", "STARTED", "PROFILE", "IMAGE", "HAND-OFF", "PHASES")
	for _, o := range l {
		t.row(o.Name, len(o.Hosts), started(t, o), o.Profile, cmp.Or(o.ImageName, short(o.Image)), o.Handoff, phases(o.Phases))
	}
}

func started(t *table, o v1.Order) string {
	if o.Started == nil {
		return "no"
	}
	return t.age(*o.Started) + " ago"
}

func phases(count map[string]int) string {
	words := make([]string, 0, len(count))
	for phase, n := range count {
		words = append(words, fmt.Sprintf("%d %s", n, phase))
	}
	sort.Strings(words)
	return strings.Join(words, ", ")
}

func (s *session) orderShow() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "show ORDER", Short: "Show one order", Args: exactly(1), Example: "  muster order show plant7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			o, err := c.Order(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(orderCard(o))
		},
	})
}

type orderCard v1.Order

func (o orderCard) table(t *table) {
	t.row("order", o.Name)
	t.row("profile", o.Profile)
	t.row("image", strings.TrimSpace(o.ImageName+" "+o.Image))
	t.row("transport", cmp.Or(o.Transport, "by image"))
	t.row("hand-off", o.Handoff)
	t.row("ship", o.Ship)
	t.row("erase", o.Erase)
	t.row("after", o.After)
	t.row("config", strings.Join(o.Config, ", "))
	t.row("secrets", strings.Join(o.Secrets, ", "))
	if o.Template > 0 {
		t.row("template", fmt.Sprintf("%d lines", o.Template))
	}
	t.row("imported", t.age(o.Imported)+" ago")
	t.row("started", started(t, v1.Order(o)))
	t.row("hosts", cmp.Or(phases(o.Phases), "none"))
	for _, h := range o.Held {
		t.row("at "+h.Handoff, h.Said+" ("+heldSince(t, h)+")")
	}
	for _, w := range o.Warnings {
		t.row("warning", w)
	}
}

// heldSince says how long something is held, or since when it is no more.
func heldSince(t *table, h v1.Held) string {
	switch {
	case h.Closed != nil:
		return "closed " + t.age(*h.Closed) + " ago"
	case h.Closing != nil:
		return "closing since " + t.age(*h.Closing)
	}
	return "open since " + t.age(h.Opened)
}

func (s *session) orderCheck() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "check ORDER", Short: "Say whether the hosts of an order could be handed over", Args: exactly(1),
		Long: "Ask the service that the hosts of an order are handed over to, as order start does\n" +
			"before it starts one: whether it answers, whether the key, the project and the\n" +
			"rest are right. Nothing is changed.",
		Example: "  muster order check plant7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			checked, err := c.Check(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := s.show(checkedOrder(checked)); err != nil {
				return err
			}
			if len(checked.Wrong) > 0 {
				return errNo
			}
			return nil
		},
	})
}

type checkedOrder v1.Checked

func (c checkedOrder) table(t *table) {
	for _, text := range c.Wrong {
		t.line("wrong: " + text)
	}
	for _, text := range c.Notes {
		t.line("note: " + text)
	}
	if len(c.Wrong) == 0 {
		t.line("Order " + c.Order + " can be handed over.")
	}
}

func (s *session) orderStart(
	verb, short string, do func(*client.Client, context.Context, string) (v1.Order, error),
) *cobra.Command {
	return s.reading(&cobra.Command{
		Use: verb + " ORDER", Short: short, Args: exactly(1), Example: "  muster order " + verb + " plant7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			o, err := do(c, cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := s.show(orderList{o}); err != nil {
				return err
			}
			for _, w := range o.Warnings {
				s.say("warning: %s", w)
			}
			return nil
		},
	})
}
