package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner/evidence"
)

func (s *session) reportCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "report HOST", Short: "Print the signed record of a host",
		Long: "Print all that muster holds of a host as one signed JSON document: of a host that\n" +
			"was shipped the record as it was written then, of any other what is known now.\n" +
			"With --output, print a summary of it. With --check, read a record from a file and\n" +
			"say whether it is as it was signed; that asks no server.",
		Example: "  muster report rack4-u12 > rack4-u12.json\n  muster report --check rack4-u12.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := s.recordText(cmd, file, args)
			if err != nil {
				return err
			}
			record, key, err := evidence.Check(text)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("output") && file == "" { // the bytes that were signed, not ours of them
				_, err := fmt.Fprintf(s.out, "%s\n", text)
				return err
			}
			return s.show(recordCard{record, key})
		},
	}
	cmd.Flags().StringVar(&file, "check", "", "check this file instead of asking the server")
	return s.reading(cmd)
}

// recordText is the record of the host that was named, or the file.
func (s *session) recordText(cmd *cobra.Command, file string, args []string) ([]byte, error) {
	if file != "" {
		if err := exactly(0)(cmd, args); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the record: %w", err)
		}
		return text, nil
	}
	if err := exactly(1)(cmd, args); err != nil {
		return nil, err
	}
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	return c.Report(cmd.Context(), args[0])
}

// recordCard is a record in a few lines.
type recordCard struct {
	Record evidence.Record `json:"record"`
	Key    string          `json:"key"` // public, PEM
}

func (r recordCard) table(t *table) {
	h := r.Record.Host
	t.row("host", string(h.ID))
	t.row("name", h.Name)
	t.row("serial", h.Serial)
	t.row("order", string(r.Record.Order.Name))
	t.row("phase", string(h.Phase))
	t.row("why", h.Why)
	if d := r.Record.Departure; d != nil {
		t.row("departure", d.Proof)
	}
	if p := r.Record.Handoff.Receipt; p != nil {
		t.row("receipt", p.Driver+" "+p.ID+" ("+p.Proof+")")
	}
	for _, i := range r.Record.Images {
		t.row("image", i.Digest)
	}
	t.row("findings", len(r.Record.Findings))
	t.row("journal", fmt.Sprintf("%d entries", len(r.Record.Journal)))
	t.row("made", r.Record.Made.Format("2006-01-02 15:04:05 MST")+" by muster "+r.Record.Muster)
	t.row("signature", "holds, by the key in the record; compare it with records/key.pem of the muster that made it")
}
