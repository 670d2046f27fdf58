package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) profileCommands() *cobra.Command {
	return group("profile", "Profiles: what a correct host looks like; these commands need no server",
		s.profileLint(), s.profileShow(), s.profileList())
}

func (s *session) profileLint() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "lint FILE", Short: "Check a profile, and say it in words", Args: exactly(1), Example: "  muster profile lint our-model.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := readFile(args[0])
			if err != nil {
				return err
			}
			rules, err := profile.Parse([]byte(text))
			if err != nil {
				return err
			}
			if _, taken := profile.Builtin(rules.Name); taken {
				return fmt.Errorf("%s: muster brings a profile %s itself: give this one another name", args[0], rules.Name)
			}
			return s.show(profileCard(api.ProfileShape(rules, false)))
		},
	})
}

func (s *session) profileShow() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "show NAME", Short: "Say a profile that muster brings in words", Args: exactly(1), Example: "  muster profile show edge-minimum",
		RunE: func(_ *cobra.Command, args []string) error {
			rules, found := profile.Builtin(args[0])
			if !found {
				return usage("muster brings no profile %q: see muster profile list", args[0])
			}
			return s.show(profileCard(api.ProfileShape(rules, true)))
		},
	})
}

type profileCard v1.Profile

func (p profileCard) table(t *table) {
	t.line("profile " + p.Name)
	for _, rule := range p.Rules {
		t.line("  " + rule)
	}
}

func (s *session) profileList() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "list", Short: "List the profiles that muster brings", Args: exactly(0), Example: "  muster profile list",
		RunE: func(*cobra.Command, []string) error {
			list := profileList{}
			for _, name := range profile.Builtins() {
				if rules, found := profile.Builtin(name); found {
					list = append(list, api.ProfileShape(rules, true))
				}
			}
			return s.show(list)
		},
	})
}

type profileList []v1.Profile

func (l profileList) table(t *table) {
	t.row("PROFILE", "RULES")
	for _, p := range l {
		t.row(p.Name, len(p.Rules))
	}
}
