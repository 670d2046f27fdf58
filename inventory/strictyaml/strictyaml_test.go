package strictyaml

import (
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
)

type even int

func (e *even) UnmarshalText(text []byte) error {
	if string(text) != "two" {
		return errors.New("only two is even enough")
	}
	*e = 2
	return nil
}

func (e *even) UnmarshalYAML(n ast.Node) error { return Text(n, e) }

type sample struct {
	Name  string `yaml:"name"`
	Inner struct {
		Even even `yaml:"even"`
		List []struct {
			A int `yaml:"a"`
		} `yaml:"list"`
	} `yaml:"inner"`
}

func TestDecodeNamesThePlaceOfWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"unknown key", "name: a\ncolour: red\n", `line 2, column 1: unknown key "colour"`},
		{"unknown nested key", "inner:\n  odd: 1\n", `line 2, column 3: unknown key "odd"`},
		{"key given twice", "name: a\nname: b\n", "line 2, column 1: "},
		{"wrong type", "inner: 7\n", "line 1, column 8: "},
		{"bad value", "inner:\n  even: 3\n", "line 2, column 9: only two is even enough"},
		{"map where a value is wanted", "inner:\n  even: {a: 1}\n", "line 2, column 9: a single value is wanted here"},
		{"bad syntax", "name: [a\n", "line 1, column "},
		{"second document", "name: a\n---\nname: b\n", "line 3, column 1: a second document"},
		{"empty", "# nothing\n", "the file is empty"},
		{"too large", strings.Repeat("#", maxBytes+1), "the file has 1048577 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode([]byte(tt.in), &sample{})
			var e *Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), tt.want) {
				t.Errorf("got %v, want prefix %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
}

func TestErrorfPointsAtTheKeyOrItsNearestParent(t *testing.T) {
	var s sample
	doc, err := Decode([]byte("name: a\ninner:\n  even: two\n  list:\n  - a: 1\n  - a: 2\n"), &s)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"inner.even":      "line 3, column 9: inner.even: no",
		"inner.list[1].a": "line 6, column 8: inner.list[1].a: no",
		"inner.absent":    "line 3, column 7: inner.absent: no",
		"absent":          "absent: no",
	} {
		if got := doc.Errorf(path, "%s", "no").Error(); got != want {
			t.Errorf("Errorf(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestVerbatimIsAsItWasWrittenOrRefused(t *testing.T) {
	type doc struct{ A Verbatim }
	for in, want := range map[string]string{
		"a: plain\n":             "plain",
		"a: '0123'\n":            "0123",
		"a: |\n  two\n  lines\n": "two\nlines\n",
		"a: \" kept \"\n":        " kept ",
		"a: 0123\n":              "line 1, column 4: put this value in quotes",
		"a: yes\n":               "yes",
		"a: true\n":              "line 1, column 4: put this value in quotes",
		"a: 1.10\n":              "line 1, column 4: put this value in quotes",
		"a: [x]\n":               "line 1, column 4: a single value is wanted here",
		"a:\n  b: 1\n":           "line 2, column 4: a single value is wanted here",
	} {
		var got doc
		text := ""
		if _, err := Decode([]byte(in), &got); err != nil {
			text = err.Error()
		} else {
			text = string(got.A)
		}
		if !strings.HasPrefix(text, want) || want == "" {
			t.Errorf("%q gives %q, want %q", in, text, want)
		}
	}
}
