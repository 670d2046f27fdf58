package quirk

import (
	_ "embed" // rows.yaml
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/goccy/go-yaml"
)

// Book is rows in order. It is immutable and may be used concurrently; the
// zero value matches nothing.
type Book struct{ rows []Quirk }

//go:embed rows.yaml
var builtin []byte

// Builtin returns the rows that muster brings.
func Builtin() Book {
	b, err := Parse(builtin)
	if err != nil {
		panic(err) // it is in the binary, and a test reads it
	}
	return b
}

// maxBook is the size above which a file is no book.
const maxBook = 1 << 20

// Parse reads rows from YAML, strictly: an unknown key, an unknown word or a
// row that says nothing of its proof is an error that names the row.
func Parse(data []byte) (Book, error) {
	if len(data) > maxBook {
		return Book{}, fmt.Errorf("the rows have %d bytes; more than %d are not read", len(data), maxBook)
	}
	var rows []Quirk
	if err := yaml.UnmarshalWithOptions(data, &rows, yaml.Strict()); err != nil {
		return Book{}, fmt.Errorf("read quirks: %w", err)
	}
	seen := map[string]bool{Standard().Family: true}
	var wrong []error
	for i, q := range rows {
		if seen[q.Family] {
			wrong = append(wrong, fmt.Errorf("row %d: another row is called %s", i+1, q.Family))
		}
		seen[q.Family] = true
		for _, err := range q.check() {
			wrong = append(wrong, fmt.Errorf("row %d (%s): %w", i+1, q.Family, err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return Book{}, err
	}
	return Book{rows: rows}, nil
}

// Rows returns a copy of the rows, in the order in which they are asked.
func (b Book) Rows() []Quirk { return slices.Clone(b.rows) }

// check says everything that is wrong with a row.
func (q Quirk) check() []error {
	var wrong []error
	need := func(ok bool, text string) {
		if !ok {
			wrong = append(wrong, errors.New(text))
		}
	}
	need(q.Family != "", "family: give it a name")
	need(q.About != "", "about: say what it is")
	need(q.Sources != "", "sources: say where it is known from")
	need(q.Proof.Emulated != "" && q.Proof.Service != "" && q.Proof.Hardware != "", "proof: say what it was tried on, or "+NoneYet)
	need(len(q.Match.Vendor)+len(q.Match.OEM) > 0, "match: name a vendor or an oem; a row for everybody is not a quirk")
	need((q.Licence.Name == "") == (len(q.Licence.Says) == 0), "licence: name and says go together")
	need(q.Licence.Name != "" || len(q.Licence.Has) == 0, "licence: say which one it is that has brings")
	wrong = append(wrong, words("media.places", q.Media.Places, Systems, Managers)...)
	wrong = append(wrong, words("media.fields", q.Media.Fields, Inserted, WriteProtected, TransferMethod, TransferProtocol, UserName, Password)...)
	wrong = append(wrong, words("media.insert", []Insert{q.Media.Insert}, "", Action, Patch, VmmControl, IsoConfig)...)
	wrong = append(wrong, words("media.schemes", q.Media.Schemes, "http", "https", "nfs", "cifs", "smb")...)
	wrong = append(wrong, words("boot.oem", []OEM{q.Boot.OEM}, "", DellAttributes)...)
	wrong = append(wrong, words("http.etags", q.HTTP.ETags, Given, Strong, None, Any)...)
	for _, pattern := range slices.Concat(q.Media.Slots, q.Media.Skip, q.Match.Product, q.Match.Model, q.Match.Manager) {
		if _, err := path.Match(pattern, ""); err != nil {
			wrong = append(wrong, fmt.Errorf("%q is not a pattern", pattern))
		}
	}
	return append(wrong, q.Match.Firmware.check()...)
}

func words[W comparable](key string, given []W, known ...W) []error {
	var wrong []error
	for _, w := range given {
		if !slices.Contains(known, w) {
			wrong = append(wrong, fmt.Errorf("%s: %v is none of %v", key, w, known))
		}
	}
	return wrong
}
