package recipe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// header is the first line without which user-data is dropped in silence.
const header = "#cloud-config\n"

// claim is a key that muster decides for each host.
type claim struct{ path, instead string }

// claims are the keys of each format that an order may not say.
func claims(f Format) []claim {
	name := func(path string) claim {
		return claim{path, path + " comes from the manifest's column name"}
	}
	decided := func(path string) claim { return claim{path, "muster decides " + path + " for each host"} }
	switch f {
	case CloudConfig: // what config_url names would be laid over all that muster says
		return []claim{name("hostname"), decided("config_url"), decided("install.auto"), decided("install.device"), decided("install.poweroff"), decided("install.reboot")}
	case NoCloud:
		return []claim{name("hostname"), decided("phone_home")}
	case Autoinstall:
		return []claim{decided("autoinstall.version"), decided("autoinstall.shutdown"), decided("autoinstall.storage.layout.match"),
			name("autoinstall.identity.hostname"), name("autoinstall.user-data.hostname")}
	case Talos:
		return []claim{decided("machine.install.disk"), decided("machine.install.diskSelector"), name("machine.network.hostname")}
	case None, Preseed, Kickstart, Ignition:
	}
	return nil
}

// refuseClaims refuses a document that says what muster decides.
func refuseClaims(what string, doc map[string]any, f Format) error {
	for _, c := range claims(f) {
		if has(doc, strings.Split(c.path, ".")) {
			return fmt.Errorf("%s: %s; leave it out", what, c.instead)
		}
	}
	return nil
}

func has(doc map[string]any, path []string) bool {
	value, ok := doc[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	inner, ok := value.(map[string]any)
	return ok && has(inner, path[1:])
}

// document lays the order's maps over the family's.
func (w writer) document(headers ...string) (map[string]any, error) {
	family, order, err := w.texts(inYAML)
	if err != nil {
		return nil, err
	}
	doc := map[string]any{}
	for _, l := range []struct{ what, text string }{{"template of family " + w.recipe.Family, family}, {"template", order}} {
		layer, err := parseMap(l.what, l.text, headers)
		if err != nil {
			return nil, err
		}
		if err := w.lay(doc, l.what, layer); err != nil {
			return nil, err
		}
	}
	config, err := fillLeaves("config", w.source.Config, w.values)
	if err != nil {
		return nil, err
	}
	return doc, w.lay(doc, "config", config.(map[string]any))
}

// lay puts a layer of the order over a document.
func (w writer) lay(doc map[string]any, what string, layer map[string]any) error {
	if err := refuseClaims(what, layer, w.recipe.Config.Format); err != nil {
		return err
	}
	if err := merge(doc, layer, ""); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// ours reads one of muster's own layers.
func (w writer) ours(name string) (map[string]any, error) {
	layer, err := w.layer(name, inYAML)
	if err != nil {
		return nil, err
	}
	return parseMap("muster's "+name, layer, nil)
}

// parseMap reads a document that must be a map, and begin with one of the
// headers if any are named. An empty text is an empty map.
func parseMap(what, text string, headers []string) (map[string]any, error) {
	doc := map[string]any{}
	if strings.TrimSpace(text) == "" {
		return doc, nil
	}
	first, _, _ := strings.Cut(text, "\n")
	if len(headers) > 0 && !slices.Contains(headers, strings.TrimRight(first, " \r")) {
		return nil, fmt.Errorf("%s: line 1: it must begin with the line %s, or its reader drops it in silence", what, strings.Join(headers, " or "))
	}
	if err := noAnchors([]byte(text), false); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("%s: filled in, it is no YAML map: %s", what, yamlError(err))
	}
	if doc == nil {
		doc = map[string]any{}
	}
	return doc, nil
}

// noAnchors refuses aliases, since a few of them make a document of any size,
// and more documents than one unless several may be.
func noAnchors(text []byte, several bool) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return fmt.Errorf("filled in, it is no YAML: %s", yamlError(err))
	}
	if len(file.Docs) > 1 && !several {
		return errors.New("it holds more than one YAML document; leave the lines --- out")
	}
	var found error
	for _, doc := range file.Docs {
		ast.Walk(visitor(func(n ast.Node) {
			if a, ok := n.(*ast.AliasNode); ok && found == nil {
				found = fmt.Errorf("filled in, line %d: aliases are not taken; write it out", a.GetToken().Position.Line)
			}
		}), doc)
	}
	return found
}

// yamlError is an error of the YAML reader without the lines around it, which
// may hold secrets.
func yamlError(err error) string {
	text := yaml.FormatError(err, false, false)
	return yamlPlace.ReplaceAllString(text, "line $1, column $2: ")
}

var yamlPlace = regexp.MustCompile(`^\[(\d+):(\d+)\] `)

type visitor func(ast.Node)

// Visit implements [ast.Visitor].
func (v visitor) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}

// fillLeaves fills in the texts of a tree, each a template of its own. What
// comes out is one text, whatever it holds.
func fillLeaves(at string, value any, v Values) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for _, key := range slices.Sorted(maps.Keys(value)) {
			filled, err := fillLeaves(at+"."+key, value[key], v)
			if err != nil {
				return nil, err
			}
			out[key] = filled
		}
		return out, nil
	case []any:
		out := make([]any, len(value))
		for n := range value {
			filled, err := fillLeaves(fmt.Sprintf("%s[%d]", at, n), value[n], v)
			if err != nil {
				return nil, err
			}
			out[n] = filled
		}
		return out, nil
	case string:
		if !strings.Contains(value, "{{") {
			return value, nil
		}
		return execute(at, value, verbatim, v)
	}
	return value, nil
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func anys(texts []string) []any {
	list := make([]any, len(texts))
	for n, t := range texts {
		list[n] = t
	}
	return list
}

// encode writes a document as JSON, which is YAML: written so, no reader takes
// a host name for a number or "on" for true.
func encode(header string, doc any) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header)
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// merge lays a layer over a document: maps are merged, lists follow each other,
// of single values the last stays. It copies what it takes, so that layers stay
// as they were. A null in the document gives way to anything.
func merge(doc, layer map[string]any, at string) error {
	for _, key := range slices.Sorted(maps.Keys(layer)) {
		here, there := doc[key], layer[key]
		path := strings.TrimPrefix(at+"."+key, ".")
		switch there := there.(type) {
		case map[string]any:
			into, ok := here.(map[string]any)
			if here != nil && !ok {
				return fmt.Errorf("%s must be a map", path)
			}
			into = maps.Clone(into)
			if into == nil {
				into = map[string]any{}
			}
			if err := merge(into, there, path); err != nil {
				return err
			}
			doc[key] = into
		case []any:
			list, ok := here.([]any)
			if here != nil && !ok {
				return fmt.Errorf("%s must be a list", path)
			}
			doc[key] = append(append([]any(nil), list...), there...)
		default:
			doc[key] = there
		}
	}
	return nil
}
