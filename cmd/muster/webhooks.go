package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) webhookCommands() *cobra.Command {
	return group("webhook", "Webhooks: who is told what happens to hosts", s.webhookList())
}

func (s *session) webhookList() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "list", Short: "List webhooks, how far they are and what keeps them", Args: exactly(0),
		Example: "  muster webhook list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			hooks, err := c.Webhooks(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(webhookList(hooks))
		},
	})
}

type webhookList []v1.Webhook

func (l webhookList) table(t *table) {
	t.row("WEBHOOK", "STATE", "QUEUED", "DELIVERED", "LAST", "NEXT TRY", "EVENTS", "URL")
	for _, w := range l {
		last := ""
		if w.Last != nil {
			last = t.age(*w.Last)
		}
		t.row(w.Name, w.State, w.Queued, w.Delivered, last, t.until(w.Next), cmp.Or(strings.Join(w.Events, ","), "all"), w.URL)
	}
	for _, w := range l {
		if w.Problem != "" {
			t.line(w.Name + ": " + w.Problem)
		}
	}
}
