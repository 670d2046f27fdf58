package palette

import (
	"cmp"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// maxName is the length at which Palette cuts a UID off.
const maxName = 128

// nameOf is the UID under which h is to register: the site's name and its
// serial, in letters that need no escaping anywhere. It is the same for the
// same host, whenever it is asked.
func nameOf(site string, h provisioner.Host) string {
	own := ""
	for _, candidate := range []string{serialOf(h), uuidOf(h), macOf(h), string(h.ID)} {
		if own = slug(candidate); own != "" {
			break
		}
	}
	name := cmp.Or(slug(site), "edge") + "-" + own
	return strings.Trim(name[:min(len(name), maxName)], "-")
}

// agentsName is the UID that an agent gives itself when nobody named it: of the
// UUID as its kernel shows it.
func agentsName(h provisioner.Host) string {
	return "edge-" + strings.ReplaceAll(uuidOf(h), "-", "")
}

// slug has only small letters, digits and single hyphens between them.
func slug(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimRight(b.String(), "-")
}

func serialOf(h provisioner.Host) string {
	serial := h.Intent.Row.Serial
	if r := h.Facts.Report; serial == "" && r != nil {
		serial = r.Report.System.Serial
	}
	if inventory.Junk(serial) {
		return ""
	}
	return serial
}

// uuidOf is what the host's own kernel shows where it was seen; a manifest may
// have the other byte order.
func uuidOf(h provisioner.Host) string {
	seen := h.Intent.Row.UUID
	if r := h.Facts.Report; r != nil && r.Report.System.UUID != "" {
		seen = r.Report.System.UUID
	}
	uuid, _ := inventory.NormalUUID(seen)
	return uuid
}

func macOf(h provisioner.Host) string {
	if macs := macsOf(h); len(macs) > 0 {
		return macs[0]
	}
	return ""
}

// macsOf are the addresses that were verified, or that the manifest lists where
// the host was not seen.
func macsOf(h provisioner.Host) []string {
	if h.Facts.Report == nil {
		return normal(h.Intent.Row.MACs)
	}
	var list []string
	for _, n := range h.Facts.Report.Report.NICs {
		list = append(list, n.MAC)
	}
	return normal(list)
}

// uidsOf are the UIDs under which h may register: one, or with an agent that
// names itself both orders of the UUID's bytes.
func (d *Driver) uidsOf(o options, h provisioner.Host) []string {
	if o.Identity != byUUID {
		return []string{nameOf(d.settings.Site, h)}
	}
	uids := []string{agentsName(h)}
	if swapped, known := inventory.SwapUUID(uuidOf(h)); known {
		uids = append(uids, "edge-"+strings.ReplaceAll(swapped, "-", ""))
	}
	return uids
}
