package main

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) imagePreview() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "preview HOST", Short: "Print exactly what a host gets, secrets masked", Args: exactly(1),
		Long: "Print exactly what a host gets of its image and order: documents, kernel arguments,\n" +
			"what differs in its ISO, what is written beside a disk image. Secrets are masked.\n" +
			"Before an install attempt has begun it is what the next one would give.",
		Example: "  muster image preview rack4-u12",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			p, err := c.Preview(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := s.show(preview(p)); err != nil || s.format == asJSON {
				return err
			}
			s.texts(p)
			return nil
		},
	})
}

// texts prints what a host reads, each between rulers.
func (s *session) texts(p v1.Preview) {
	for _, c := range p.Medium {
		if c.Path != "" {
			s.text("on the ISO "+c.Path, c.Content)
		}
	}
	for _, d := range p.Documents {
		s.text("document "+d.Name+" ("+d.Type+")", d.Content)
	}
	for _, d := range p.Seed {
		s.text("seed "+d.Name, d.Content)
	}
}

// text prints a document line by line, as it is but for what a terminal would
// act on.
func (s *session) text(title, content string) {
	say(s.out, "\n--- %s", title)
	for line := range strings.Lines(content) {
		say(s.out, "%s", strings.Map(func(c rune) rune {
			if c != '\t' && unicode.IsControl(c) {
				return ' '
			}
			return c
		}, strings.TrimRight(line, "\r\n")))
	}
	say(s.out, "---")
}

type preview v1.Preview

func (p preview) table(t *table) {
	for _, note := range p.Notes {
		t.line("note: " + note)
	}
	t.row("host", p.Host)
	t.row("attempt", cmp.Or(p.Attempt, "none yet"))
	t.row("image", short(p.Image))
	t.row("way", p.Way)
	t.row("disk", p.Disk)
	if p.Coding != "" {
		t.row("coding", p.Coding)
	}
	if p.Kernel != "" {
		t.row("kernel", p.Kernel)
		t.row("initrds", strings.Join(p.Initrds, " "))
		t.row("arguments", p.Cmdline)
	}
	for _, c := range p.Medium {
		if len(c.Drop) > 0 {
			t.row("taken out", strings.Join(c.Drop, " "))
		}
		if len(c.Args) > 0 {
			t.row("added", strings.Join(c.Args, " "))
		}
	}
}
