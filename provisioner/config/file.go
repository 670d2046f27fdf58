package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// file is the YAML as people write it.
type file struct {
	Data      string    `yaml:"data"`
	Socket    string    `yaml:"socket"`
	Log       string    `yaml:"log"`
	Boot      boot      `yaml:"boot"`
	Deadlines deadlines `yaml:"deadlines"`
	Networks  []network `yaml:"networks"`
}

type boot struct {
	Port int `yaml:"port"`
}

type deadlines struct {
	Discover string `yaml:"discover"`
	Verify   string `yaml:"verify"`
	Install  string `yaml:"install"`
	Register string `yaml:"register"`
}

type network struct {
	Interface            string `yaml:"interface"`
	DHCP                 string `yaml:"dhcp"`
	Pool                 string `yaml:"pool"`
	Router               string `yaml:"router"`
	DNS                  list   `yaml:"dns"`
	NTP                  list   `yaml:"ntp"`
	Unknown              string `yaml:"unknown"`
	Loader               string `yaml:"loader"`
	RouterAdvertisements *bool  `yaml:"router_advertisements"`
}

// list is one text or a list of them.
type list []string

// UnmarshalYAML implements [yaml.InterfaceUnmarshaler].
func (l *list) UnmarshalYAML(decode func(any) error) error {
	var one string
	if err := decode(&one); err == nil {
		*l = list{one}
		return nil
	}
	return decode((*[]string)(l))
}

// source finds the line of a key path in the file that an error is about.
type source struct {
	name string
	tree *ast.File
}

// at returns "name:line: path" for a key path such as networks[0].pool; a key
// that is not written has the line of the nearest key above it.
func (s source) at(path string) string {
	for up := path; ; up = parent(up) {
		if line := s.line(up); line > 0 {
			return fmt.Sprintf("%s:%d: %s", s.name, line, path)
		}
		if up == "" {
			return fmt.Sprintf("%s: %s", s.name, path)
		}
	}
}

func (s source) line(path string) int {
	query, err := yaml.PathString("$." + path)
	if err != nil || path == "" {
		return 0
	}
	node, err := query.FilterFile(s.tree)
	if err != nil || node.GetToken() == nil {
		return 0
	}
	return node.GetToken().Position.Line
}

// parent cuts the last step off a key path.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// decode reads text strictly over the defaults.
func decode(name string, text []byte) (file, source, error) {
	raw := defaults()
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return file{}, source{}, explain(source{name: name}, err)
	}
	where := source{name: name, tree: tree}
	err = yaml.UnmarshalWithOptions(text, &raw, yaml.DisallowUnknownField())
	if err != nil {
		return file{}, source{}, explain(where, err)
	}
	return raw, where, nil
}

// explain turns an error of the YAML library into "name:line: path: message".
func explain(s source, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	tok := at.GetToken()
	message := strings.SplitN(at.GetMessage(), "\n", 2)[0]
	if path := s.pathOf(tok); path != "" {
		message = path + ": " + message
	}
	return fmt.Errorf("%s:%d: %s", s.name, tok.Position.Line, message)
}

// pathOf names the key that tok belongs to, or nothing.
func (s source) pathOf(tok *token.Token) string {
	if s.tree == nil || len(s.tree.Docs) == 0 || s.tree.Docs[0].Body == nil {
		return ""
	}
	find := &finder{offset: tok.Position.Offset}
	ast.Walk(find, s.tree.Docs[0].Body)
	return strings.TrimPrefix(find.path, "$.")
}

// finder is an [ast.Visitor] that remembers the path of the node at an offset.
type finder struct {
	offset int
	path   string
}

func (f *finder) Visit(node ast.Node) ast.Visitor {
	if tok := node.GetToken(); tok != nil && tok.Position.Offset == f.offset {
		f.path = node.GetPath()
	}
	return f
}
