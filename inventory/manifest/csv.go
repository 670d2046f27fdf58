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
	Overrides Overrides `json:"overrides,omitzero"`
}

// NeedsDiscovery reports whether the host can only be recognised by what the
// scout reads: a network that is silent to unlisted hosts would never answer it.
func (r Row) NeedsDiscovery() bool { return len(r.MACs) == 0 && r.UUID == "" }

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

// ReadCSV reads a manifest. The first line that is neither blank nor begins
// with # names the columns, in any order: serial, mac (several columns or
// several in a cell), uuid, name, and those of [Overrides]. Headings may be
// written as sheets do ("S/N", "MAC Address"); unknown ones are left out with a
// warning. With a non-nil error there are no rows; a [Problems] names every
// cell that is wrong. Warnings are about what was left out.
func ReadCSV(r io.Reader) (rows []Row, warnings []Problem, err error) {
	t, err := readTable(r)
	if err != nil {
		return nil, nil, err
	}
	p := newReading(t)
	for _, l := range t.lines {
		p.line(l)
	}
	if len(p.problems) == 0 && len(p.rows) == 0 {
		p.problems = Problems{{Text: "the manifest lists no host"}}
	}
	p.duplicates()
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, p.warnings, p.problems
	}
	return p.rows, p.warnings, nil
}

// reading gathers rows and what is wrong with them.
type reading struct {
	header   []string
	fields   []field
	rows     []Row
	warnings []Problem
	problems Problems
}

// field is what a column means.
type field int

const (
	unused field = iota
	serial
	mac
	uuid
	name
	profileName
	image
	handoff
	erase
	after
	installDisk
	transport
)

// fieldOf understands the headings that people and exports of vendors use; it
// looks at letters and digits only.
func fieldOf(heading string) field {
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(heading))
	switch letters {
	case "serial", "serialnumber", "serialno", "sn", "systemserial", "systemserialnumber", "servicetag":
		return serial
	case "uuid", "systemuuid", "smbiosuuid", "guid", "systemguid":
		return uuid
	case "name", "host", "hostname":
		return name
	case "profile":
		return profileName
	case "image":
		return image
	case "handoff":
		return handoff
	case "erase":
		return erase
	case "after":
		return after
	case "installdisk", "disk":
		return installDisk
	case "transport":
		return transport
	}
	switch strings.TrimRight(letters, "0123456789") {
	case "mac", "macs", "macaddress", "macaddresses", "macaddr", "nicmac", "bootmac", "pxemac":
		return mac
	}
	return unused
}

func newReading(t table) *reading {
	p := &reading{header: t.header}
	first := map[field]string{}
	for _, heading := range t.header {
		f := fieldOf(heading)
		p.fields = append(p.fields, f)
		if f == unused && heading != "" {
			p.warnings = append(p.warnings, Problem{Text: fmt.Sprintf("column %q is not used", heading)})
		}
		if before, ok := first[f]; ok && f != unused && f != mac {
			p.problems = append(p.problems, Problem{Text: fmt.Sprintf("columns %q and %q mean the same; keep one", before, heading)})
		}
		first[f] = heading
	}
	if !slices.ContainsFunc(p.fields, func(f field) bool { return f == serial || f == mac || f == uuid }) {
		p.problems = append(p.problems, Problem{Text: "no column is called serial, mac or uuid; the first line must name the columns"})
	}
	return p
}

func (p *reading) line(l line) {
	row := Row{Line: l.number}
	before := len(p.problems)
	for i, cell := range l.cells {
		if cell == "" {
			continue
		}
		if i >= len(p.fields) {
			p.problems = append(p.problems, Problem{Line: l.number, Text: fmt.Sprintf("cell %q stands under no heading; is a separator too many in this line?", cell)})
			break
		}
		wrong, odd := row.take(p.fields[i], cell)
		if wrong != "" {
			p.problems = append(p.problems, Problem{l.number, p.header[i], wrong})
		}
		if odd != "" {
			p.warnings = append(p.warnings, Problem{l.number, p.header[i], odd})
		}
	}
	if len(p.problems) == before && row.Serial == "" && row.NeedsDiscovery() {
		p.problems = append(p.problems, Problem{Line: l.number, Text: "nothing here tells which host it is; give a serial, a MAC or a UUID"})
	}
	p.rows = append(p.rows, row)
}

// take puts one cell into the row. wrong refuses the manifest, odd only warns.
func (r *Row) take(f field, cell string) (wrong, odd string) {
	switch f {
	case unused:
	case serial:
		return r.takeSerial(cell)
	case mac:
		return r.takeMACs(cell), ""
	case uuid:
		return r.takeUUID(cell)
	case name:
		r.Name = strings.ToLower(cell)
		if !labelled(r.Name) {
			return fmt.Sprintf("%q cannot be a host name; use up to 63 letters, digits and hyphens", cell), ""
		}
	case profileName:
		r.Overrides.Profile = cell
	case image:
		r.Overrides.Image = cell
	case handoff:
		r.Overrides.Handoff = cell
	case erase:
		r.Overrides.Erase = Erase(strings.ToLower(cell))
		return r.Overrides.Erase.fault(), ""
	case after:
		r.Overrides.After = After(strings.ToLower(cell))
		return r.Overrides.After.fault(), ""
	case transport:
		r.Overrides.Transport = Transport(strings.ToLower(cell))
		return r.Overrides.Transport.fault(), ""
	case installDisk:
		r.Overrides.InstallDisk = strings.TrimPrefix(cell, "/dev/disk/by-id/")
		if strings.ContainsAny(r.Overrides.InstallDisk, "/ \t\n") {
			return fmt.Sprintf("%q is not a name under /dev/disk/by-id", cell), ""
		}
	}
	return "", ""
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

// duplicates finds keys that two rows claim. UUIDs that differ only in byte
// order are the same.
func (p *reading) duplicates() {
	first := map[string]int{}
	claim := func(r Row, f field, key, value string) {
		if value == "" {
			return
		}
		id := fmt.Sprint(f, key)
		if line, ok := first[id]; ok && line != r.Line {
			p.problems = append(p.problems, Problem{r.Line, p.heading(f), fmt.Sprintf("%q already stands in line %d", value, line)})
			return
		}
		first[id] = r.Line
	}
	for _, r := range p.rows {
		claim(r, serial, inventory.NormalSerial(r.Serial), r.Serial)
		swapped, _ := inventory.SwapUUID(r.UUID)
		claim(r, uuid, min(r.UUID, swapped), r.UUID)
		claim(r, name, r.Name, r.Name)
		for _, m := range r.MACs {
			claim(r, mac, m, m)
		}
	}
}

func (p *reading) heading(f field) string {
	return p.header[slices.Index(p.fields, f)]
}
