package localui

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// maxID is how much of an ID a host keeps, in bytes.
const maxID = 128

// idOf is the ID that the host is given as stylus.site.name: its name, else its
// serial, in the letters that an ID may have.
func idOf(h provisioner.Host) string {
	serial := h.Intent.Row.Serial
	if r := h.Facts.Report; serial == "" && r != nil && !inventory.Junk(r.Report.System.Serial) {
		serial = r.Report.System.Serial
	}
	name := strings.ToLower(cmp.Or(h.Intent.Row.Name, serial, string(h.ID)))
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", c) {
			return c
		}
		return '-'
	}, name[:min(len(name), maxID)])
}

// sameID finds hosts that would have one ID: the rows of each such ID.
func sameID(hosts []provisioner.Host) map[string]string {
	by := map[string][]string{}
	for _, h := range hosts {
		by[idOf(h)] = append(by[idOf(h)], fmt.Sprintf("row %d", h.Intent.Row.Line))
	}
	out := map[string]string{}
	for id, rows := range by {
		if len(rows) > 1 {
			out[id] = strings.Join(rows, " and ")
		}
	}
	return out
}
