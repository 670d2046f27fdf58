package manifest

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
)

// Row is one expected host.
type Row struct {
	Line      int       `json:"line"`             // in the file, from 1
	Serial    string    `json:"serial,omitempty"` // as written
	MACs      []string  `json:"macs,omitempty"`   // lower case with colons
	UUID      string    `json:"uuid,omitempty"`   // lower case with hyphens, in the byte order written
	Name      string    `json:"name,omitempty"`   // a host name label in lower case
	BMC       BMC       `json:"bmc,omitzero"`     // zero: none is listed
	Static    Static    `json:"static,omitzero"`  // zero: all by DHCP
	Overrides Overrides `json:"overrides,omitzero"`
}

// NeedsDiscovery reports whether the host can only be recognised by what the
// scout reads: a network that is silent to unlisted hosts would never answer
// it. A BMC starts its host and tells who it is.
func (r Row) NeedsDiscovery() bool { return len(r.MACs) == 0 && r.UUID == "" && !r.BMC.Listed() }

// Problem is something about one cell. Line 0 is the file as a whole.
type Problem struct {
	Line   int    `json:"line,omitempty"`
	Column string `json:"column,omitempty"` // its heading as written
	Text   string `json:"text"`
}

func (p Problem) String() string {
	switch {
	case p.Line == 0:
		return p.Text
	case p.Column == "":
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return fmt.Sprintf("line %d, column %q: %s", p.Line, p.Column, p.Text)
}

// Problems is everything that is wrong with a manifest, in the order of lines.
type Problems []Problem

func (p Problems) Error() string {
	words := make([]string, len(p))
	for i, one := range p {
		words[i] = one.String()
	}
	return strings.Join(words, "\n")
}

// Defaults are what an order says for all rows of its manifest.
type Defaults struct {
	BMC     BMCDefaults
	Network NetworkDefaults
	// Unread says that the order could not be read: what it would add to a row is
	// then not missed.
	Unread bool
}

// ReadCSV reads a manifest and completes its rows with what the order says for
// all. The first line that is neither blank nor begins with # names the
// columns, in any order: serial, mac (several columns or several in a cell),
// uuid, name, those of [BMC] and [Static], and those of [Overrides]. Headings
// may be written as sheets do ("S/N", "iDRAC IP"); unknown ones are left out
// with a warning. With a non-nil error there are no rows; a [Problems] names
// every cell that is wrong, and no password. Warnings are about what was left
// out.
func ReadCSV(r io.Reader, defaults Defaults) (rows []Row, warnings []Problem, err error) {
	t, err := readTable(r)
	if err != nil {
		return nil, nil, err
	}
	p := newReading(t, defaults)
	for _, l := range t.lines {
		p.line(l)
	}
	if len(p.problems) == 0 && len(p.rows) == 0 {
		p.problems = Problems{{Text: "the manifest lists no host"}}
	}
	p.claims()
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, p.warnings, p.problems
	}
	return p.rows, p.warnings, nil
}

// reading gathers rows and what is wrong with them.
type reading struct {
	defaults Defaults
	header   []string
	fields   []field
	rows     []Row
	warnings []Problem
	problems Problems
}

func newReading(t table, defaults Defaults) *reading {
	p := &reading{defaults: defaults, header: t.header}
	first := map[field]string{}
	for _, heading := range t.header {
		f := fieldOf(heading)
		p.fields = append(p.fields, f)
		if f == unused && heading != "" {
			p.warnings = append(p.warnings, Problem{Text: fmt.Sprintf("column %q is not used", heading)})
		}
		if before, ok := first[f]; ok && f != unused && !f.several() {
			p.problems = append(p.problems, Problem{Text: fmt.Sprintf("columns %q and %q mean the same; keep one", before, heading)})
		}
		first[f] = heading
	}
	if !slices.ContainsFunc(p.fields, field.identifies) {
		p.warnings = nil // they may quote a line of hosts, with passwords
		p.problems = append(p.problems, Problem{Text: "no column is called serial, mac, uuid, bmc_address or bmc_mac; the first line must name the columns"})
	}
	return p
}

// line reads one row. Of a line that has more cells than the first, nobody
// knows which cell is whose.
func (p *reading) line(l line) {
	if i := slices.IndexFunc(l.cells[min(len(l.cells), len(p.fields)):], func(cell string) bool { return cell != "" }); i >= 0 {
		p.problems = append(p.problems, Problem{Line: l.number, Text: fmt.Sprintf(
			"cell %d stands under no heading; is a separator too many in this line? Put cells that hold one in double quotes", len(p.fields)+i+1)})
		return
	}
	d := draft{Row: Row{Line: l.number}}
	before := len(p.problems)
	for i, cell := range l.cells {
		if cell == "" {
			continue
		}
		wrong, odd := d.take(p.fields[i], cell)
		p.refuse(l.number, p.fields[i], wrong)
		if odd != "" {
			p.warnings = append(p.warnings, Problem{l.number, p.header[i], odd})
		}
	}
	if len(p.problems) == before {
		p.complete(&d)
	}
	p.rows = append(p.rows, d.Row)
}

// complete joins the cells of a row with each other and with the order.
func (p *reading) complete(d *draft) {
	if !d.identified() {
		p.problems = append(p.problems, Problem{Line: d.Line, Text: "nothing here tells which host it is; give a serial, a MAC, a UUID, or the address or MAC of its BMC"})
	}
	for _, f := range append(d.completeBMC(p.defaults), d.completeStatic(p.defaults)...) {
		p.refuse(d.Line, f.field, f.text)
	}
}

// refuse notes what is wrong, if anything is, under the heading of a field.
func (p *reading) refuse(number int, f field, wrong string) {
	if wrong != "" {
		p.problems = append(p.problems, Problem{number, p.heading(f), wrong})
	}
}

// heading is that of the first column of a field; empty where the value came
// from the order.
func (p *reading) heading(f field) string {
	if i := slices.Index(p.fields, f); i >= 0 {
		return p.header[i]
	}
	return ""
}

// draft is a row that is being read.
type draft struct {
	Row
	net network
}

func (r Row) identified() bool { return r.Serial != "" || !r.NeedsDiscovery() }

// fault is what is wrong with a field of a row, beside others.
type fault struct {
	field field
	text  string
}

// take puts one cell into the row. wrong refuses the manifest, odd only warns.
func (d *draft) take(f field, cell string) (wrong, odd string) {
	switch f {
	case unused:
	case serial:
		return d.takeSerial(cell)
	case mac:
		return d.takeMACs(cell), ""
	case uuid:
		return d.takeUUID(cell)
	case name:
		d.Name = strings.ToLower(cell)
		if !labelled(d.Name) {
			return fmt.Sprintf("%q cannot be a host name; use up to 63 letters, digits and hyphens", cell), ""
		}
	case profileName, image, handoff, erase, after, installDisk, transport:
		return d.Overrides.take(f, cell), ""
	case bmcAddress, bmcMAC, bmcUser, bmcPassword, bmcNewPassword, bmcFingerprint, bmcSystem, bmcDriver:
		return d.BMC.take(f, cell), ""
	case address, prefix, gateway, dns, vlan, netMAC:
		return d.net.take(f, cell), ""
	}
	return "", ""
}

// take puts the cell of a column of [Overrides] into its place.
func (o *Overrides) take(f field, cell string) (wrong string) {
	switch f {
	case profileName:
		o.Profile = cell
	case image:
		o.Image = cell
	case handoff:
		o.Handoff = cell
	case erase:
		o.Erase = Erase(strings.ToLower(cell))
		return o.Erase.fault()
	case after:
		o.After = After(strings.ToLower(cell))
		return o.After.fault()
	case transport:
		o.Transport = Transport(strings.ToLower(cell))
		return o.Transport.fault()
	case installDisk:
		o.InstallDisk = strings.TrimPrefix(cell, "/dev/disk/by-id/")
		if strings.ContainsAny(o.InstallDisk, "/ \t\n") {
			return fmt.Sprintf("%q is not a name under /dev/disk/by-id", cell)
		}
	}
	return ""
}

func (r *Row) takeSerial(cell string) (wrong, odd string) {
	switch {
	case inventory.Junk(cell):
		return "", fmt.Sprintf("%q says nothing and is left out", cell)
	case rewritten(cell):
		return fmt.Sprintf("%q is a number that a spreadsheet has rounded; format the column as text and enter the serial again", cell), ""
	case strings.ContainsAny(cell, "\r\n"):
		return "one cell holds several lines; give each host its own row", ""
	}
	r.Serial = cell
	return "", ""
}

// rewritten recognises "1.23457E+11", what sheets make of long numbers.
func rewritten(cell string) bool {
	digits, exponent, ok := strings.Cut(strings.ToUpper(cell), "E+")
	return ok && digits != "" && exponent != "" && strings.Trim(digits, "0123456789.,") == "" && strings.Trim(exponent, "0123456789") == ""
}

func (r *Row) takeMACs(cell string) (wrong string) {
	for _, word := range strings.FieldsFunc(cell, func(c rune) bool { return strings.ContainsRune(" \t\r\n;,/|", c) }) {
		address, ok := inventory.NormalMAC(word)
		if !ok {
			return fmt.Sprintf("%q is not the MAC address of a network port; write it like 52:54:00:12:34:56", word)
		}
		if !slices.Contains(r.MACs, address) {
			r.MACs = append(r.MACs, address)
		}
	}
	return ""
}

func (r *Row) takeUUID(cell string) (wrong, odd string) {
	if inventory.JunkUUID(cell) {
		return "", fmt.Sprintf("%q is a maker's default that many boards share and is left out", cell)
	}
	u, ok := inventory.NormalUUID(cell)
	if !ok {
		return fmt.Sprintf("%q is not a UUID; it has 32 hexadecimal digits", cell), ""
	}
	r.UUID = u
	return "", ""
}
