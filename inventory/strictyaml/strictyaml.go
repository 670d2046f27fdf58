// Package strictyaml reads one small YAML document that a person wrote and says
// by line and column what is wrong with it.
//
// It refuses unknown keys, keys given twice, several documents in one file and
// files over a megabyte. It knows nothing of what the document means; a reader
// that checks meaning asks the [Document] where a key stands. Start at [Decode].
package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxBytes bounds a document; the largest honest one is a few kilobytes.
const maxBytes = 1 << 20

// Document is a decoded document that still knows where its keys stood.
type Document struct {
	file *ast.File
}

// Error is something wrong at one place. Line and Column count from 1; 0 means
// that the place is not known.
type Error struct {
	Line, Column int
	Text         string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Text
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// Decode reads data into the struct that into points to. Every error is an
// [*Error].
func Decode(data []byte, into any) (*Document, error) {
	if len(data) > maxBytes {
		return nil, &Error{Text: fmt.Sprintf("the file has %d bytes; more than %d is not read", len(data), maxBytes)}
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, located(err)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, &Error{Text: "the file is empty"}
	}
	if len(file.Docs) > 1 {
		return nil, &Error{Line: file.Docs[1].GetToken().Position.Line, Column: 1, Text: "a second document begins here; give each its own file"}
	}
	if err := yaml.NodeToValue(file.Docs[0].Body, into, yaml.Strict()); err != nil {
		return nil, located(err)
	}
	return &Document{file: file}, nil
}

// Errorf makes an error at the key with the dotted path ("memory.minimum"), or
// at its nearest parent that the document has.
func (d *Document) Errorf(path, format string, args ...any) *Error {
	e := &Error{Text: path + ": " + fmt.Sprintf(format, args...)}
	for at := path; at != ""; at = parent(at) {
		if tk := d.find(at); tk != nil {
			e.Line, e.Column = tk.Position.Line, tk.Position.Column
			return e
		}
	}
	return e
}

// Text decodes a scalar into a type that reads itself from text, and keeps the
// place in its error. A type calls it from UnmarshalYAML.
func Text(n ast.Node, into encoding.TextUnmarshaler) error {
	scalar, ok := n.(ast.ScalarNode)
	if !ok {
		return at(n.GetToken(), "a single value is wanted here")
	}
	if err := into.UnmarshalText([]byte(strings.TrimSpace(scalar.GetToken().Value))); err != nil {
		return at(n.GetToken(), err.Error())
	}
	return nil
}

// Verbatim is text that comes out as it was written. What YAML takes for a
// number or a truth value would not (0123 is 83), so that is refused.
type Verbatim string

// UnmarshalYAML keeps the place of a wrong value.
func (v *Verbatim) UnmarshalYAML(n ast.Node) error {
	switch n := n.(type) {
	case *ast.StringNode:
		*v = Verbatim(n.Value)
		return nil
	case *ast.LiteralNode:
		*v = Verbatim(n.Value.Value)
		return nil
	case ast.ScalarNode:
		return at(n.GetToken(), "put this value in quotes; without them YAML reads it as more than text")
	}
	return at(n.GetToken(), "a single value is wanted here")
}

func (d *Document) find(path string) *token.Token {
	p, err := yaml.PathString("$." + path)
	if err != nil {
		return nil
	}
	n, err := p.FilterFile(d.file)
	if err != nil || n == nil {
		return nil
	}
	return n.GetToken()
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

func at(tk *token.Token, text string) *Error {
	if tk == nil || tk.Position == nil {
		return &Error{Text: text}
	}
	return &Error{Line: tk.Position.Line, Column: tk.Position.Column, Text: text}
}

// located turns the YAML library's errors, which print a drawing of the
// source, into one line.
func located(err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	var theirs yaml.Error
	if errors.As(err, &theirs) {
		return at(theirs.GetToken(), strings.Replace(theirs.GetMessage(), "unknown field", "unknown key", 1))
	}
	return &Error{Text: err.Error()}
}
