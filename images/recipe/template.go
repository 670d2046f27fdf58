package recipe

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode"
	"unicode/utf8"
)

// Bounds of a template: of its text and of what comes out of it, in bytes; of
// one value in it; of all rounds of its loops together; and of their depth.
const (
	maxTemplate = 256 << 10
	maxText     = 1 << 20
	maxValue    = 64 << 10
	maxRounds   = 10_000
	maxDepth    = 32
)

// text is what may stand in a document as it is, because a function quoted it.
type text string

// language is what a template writes.
type language string

// The languages. A value that a template prints without one of the functions
// is checked letter by letter, save in verbatim: a text of its own, which
// whoever encodes the document quotes.
const (
	inYAML    language = "yaml" // and JSON, which is part of it
	inPreseed language = "preseed"
	inShell   language = "shell" // and kickstart, which is split like it
	verbatim  language = "verbatim"
)

// functions of text/template that templates may call. They compare, choose and
// count; the others print or call, and are bounded by nothing.
var builtins = [...]string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index"}

// Names of the functions that are put behind every printed value and every
// loop's; no template can write them.
const (
	printed = "_printed"
	looped  = "_looped"
)

// run is one execution of one template.
type run struct {
	language language
	rounds   int
}

// functions are those that templates may call, beside builtins.
func (r *run) functions() template.FuncMap {
	return template.FuncMap{
		"quote": r.quote,
		"shell": shell,
		"json":  toJSON,
		"b64": func(s any) (text, error) {
			return text(base64.StdEncoding.EncodeToString([]byte(plain(s)))), small(plain(s))
		},
		"lower":   func(s any) string { return strings.ToLower(plain(s)) },
		"upper":   func(s any) string { return strings.ToUpper(plain(s)) },
		"default": otherwise,
		"join":    join,
		printed:   r.print,
		looped:    r.loop,
	}
}

// execute fills a template in.
func execute(name, source string, in language, data any) (string, error) {
	r := &run{language: in}
	t, err := r.compile(name, source)
	if err != nil {
		return "", err
	}
	var out limited
	if err := t.Execute(&out, data); err != nil {
		return "", sentence(name, err)
	}
	return out.String(), nil
}

// compile reads a template.
func (r *run) compile(name, source string) (*template.Template, error) {
	if len(source) > maxTemplate {
		return nil, fmt.Errorf("%s: it has %d bytes, a template has at most %d", name, len(source), maxTemplate)
	}
	t, err := template.New("t").Option("missingkey=error").Funcs(r.functions()).Parse(source)
	if err != nil {
		return nil, sentence(name, err)
	}
	if err := r.prepare(t, source); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// prepare refuses what would make a template more than a text with values, and
// puts the checks behind its values.
func (r *run) prepare(t *template.Template, source string) error {
	if len(t.Templates()) > 1 || len(t.Templates()) == 1 && t.Tree == nil {
		return errors.New("define and block are not for templates of muster; write the text where it belongs")
	}
	if t.Tree == nil { // nothing but space
		return nil
	}
	return walker{source: source}.list(t.Root, 0)
}

// walker goes through the tree of a template.
type walker struct{ source string }

func (w walker) errorf(pos parse.Pos, format string, args ...any) error {
	before := w.source[:min(int(pos), len(w.source))]
	line, column := 1+strings.Count(before, "\n"), len(before)-strings.LastIndex(before, "\n")
	return fmt.Errorf("line %d, column %d: %s", line, column, fmt.Sprintf(format, args...))
}

func (w walker) list(l *parse.ListNode, depth int) error {
	if l == nil {
		return nil
	}
	if depth > maxDepth {
		return w.errorf(l.Pos, "it is nested more than %d deep", maxDepth)
	}
	for _, n := range l.Nodes {
		if err := w.node(n, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w walker) node(n parse.Node, depth int) error {
	switch n := n.(type) {
	case *parse.ActionNode:
		if err := w.pipe(n.Pipe, depth); err != nil || len(n.Pipe.Decl) > 0 {
			return err
		}
		through(n.Pipe, printed)
	case *parse.RangeNode:
		if err := w.branch(&n.BranchNode, depth); err != nil {
			return err
		}
		through(n.Pipe, looped)
	case *parse.IfNode:
		return w.branch(&n.BranchNode, depth)
	case *parse.WithNode:
		return w.branch(&n.BranchNode, depth)
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
	default:
		return w.errorf(n.Position(), "%s is not for templates of muster", n)
	}
	return nil
}

func (w walker) branch(b *parse.BranchNode, depth int) error {
	return errors.Join(w.pipe(b.Pipe, depth), w.list(b.List, depth+1), w.list(b.ElseList, depth+1))
}

func (w walker) pipe(p *parse.PipeNode, depth int) error {
	if depth > maxDepth {
		return w.errorf(p.Pos, "it is nested more than %d deep", maxDepth)
	}
	for _, command := range p.Cmds {
		for _, arg := range command.Args {
			if err := w.argument(arg, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w walker) argument(arg parse.Node, depth int) error {
	switch arg := arg.(type) {
	case *parse.IdentifierNode:
		if !known(arg.Ident) {
			return w.errorf(arg.Pos, "there is no function %s; there are %s", arg.Ident, strings.Join(names(), ", "))
		}
	case *parse.PipeNode:
		return w.pipe(arg, depth+1)
	case *parse.ChainNode:
		return w.argument(arg.Node, depth+1)
	}
	return nil
}

// through puts a function behind a pipeline.
func through(p *parse.PipeNode, function string) {
	p.Cmds = append(p.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: p.Pos,
		Args: []parse.Node{parse.NewIdentifier(function).SetPos(p.Pos)}})
}

func known(function string) bool { return slices.Contains(names(), function) }

// names are those of the functions that templates may call.
func names() []string {
	var names []string
	for name := range (&run{}).functions() {
		if !strings.HasPrefix(name, "_") {
			names = append(names, name)
		}
	}
	names = append(names, builtins[:]...)
	slices.Sort(names)
	return names
}

// loop lets a template go through what it was given, never count.
func (r *run) loop(items any) (any, error) {
	v := reflect.ValueOf(items)
	if !v.IsValid() {
		return nil, nil
	}
	if k := v.Kind(); k != reflect.Slice && k != reflect.Map {
		return nil, fmt.Errorf("range goes through lists and maps, not through a %s", k)
	}
	if r.rounds += v.Len(); r.rounds > maxRounds {
		return nil, fmt.Errorf("its loops make more than %d rounds", maxRounds)
	}
	return items, nil
}

// print lets values into a document.
func (r *run) print(value any) (text, error) {
	switch value := value.(type) {
	case text:
		return value, nil
	case nil:
		return "", errors.New("there is no value")
	}
	if k := reflect.ValueOf(value).Kind(); k == reflect.Map || k == reflect.Slice || k == reflect.Struct || k == reflect.Pointer {
		return "", errors.New("it is not a single value; name one in it, or put json before it")
	}
	s := plain(value)
	if r.language == verbatim {
		return text(s), small(s)
	}
	if r.language == inShell && strings.ContainsRune(s, '#') { // a kickstart's comment begins anywhere
		return "", errors.New("the value holds '#'; put shell before it")
	}
	return text(s), unmistakable(s)
}

// unmistakable refuses a text that some language could take for more than
// letters: the end of a line, a quote, a comment, a separator, an option. Its
// errors do not show the text, which may be a secret.
func unmistakable(s string) error {
	if s == "" {
		return nil
	}
	odd := strings.IndexFunc(s, func(c rune) bool { return !strings.ContainsRune(letters+"+=@,#", c) })
	switch {
	case odd >= 0:
		c, _ := utf8.DecodeRuneInString(s[odd:])
		return fmt.Errorf("the value holds %q; put quote or shell before it", c)
	case strings.ContainsRune("-#=@,", rune(s[0])):
		return fmt.Errorf("the value begins with %q; put quote or shell before it", s[0])
	case s[len(s)-1] == ':':
		return errors.New("the value ends in a colon; put quote or shell before it")
	}
	return small(s)
}

func plain(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func small(s string) error {
	if len(s) > maxValue {
		return fmt.Errorf("a value has %d bytes, more than %d", len(s), maxValue)
	}
	return nil
}

// quote writes a value as one text of the language.
func (r *run) quote(value any) (text, error) {
	s := plain(value)
	switch r.language {
	case inYAML:
		return toJSON(s)
	case inShell:
		return shell(s)
	case inPreseed:
		if err := oneLine(s); err != nil {
			return "", err
		}
		if strings.HasSuffix(s, `\`) { // the next line would be part of it
			return "", errors.New("a line of a preseed may not end in a backslash")
		}
	case verbatim:
	}
	return text(s), small(s)
}

// shell writes a value as one word of a POSIX shell that is not inside quotes.
// It takes no quotes and no backslashes: those might end the quotes of a
// document around it.
func shell(value any) (text, error) {
	s := plain(value)
	if err := oneLine(s); err != nil {
		return "", err
	}
	if i := strings.IndexAny(s, `'"\`); i >= 0 {
		return "", fmt.Errorf("a shell word may not hold %q here; pass it on by b64 and decode it in the shell", s[i:i+1])
	}
	return text("'" + s + "'"), small(s)
}

// oneLine refuses what ends a line in any program.
func oneLine(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("it is not text (UTF-8)")
	}
	i := strings.IndexFunc(s, func(c rune) bool { return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' })
	if i >= 0 {
		c, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Errorf("it may not hold the control character %q", c)
	}
	return nil
}

// toJSON writes any value on one line. JSON is YAML, too.
func toJSON(value any) (text, error) {
	if s, ok := value.(text); ok {
		value = string(s)
	}
	if s, ok := value.(string); ok && !utf8.ValidString(s) {
		return "", errors.New("it is not text (UTF-8)")
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", err
	}
	s := strings.TrimSuffix(out.String(), "\n")
	return text(s), small(s)
}

// otherwise is a value, or another where it is empty.
func otherwise(other, value any) any {
	if value == nil || reflect.ValueOf(value).IsZero() {
		return other
	}
	return value
}

// join puts single values, or those of one list, behind each other.
func join(separator string, values ...any) (string, error) {
	var words []string
	for _, value := range values {
		if list, ok := value.([]string); ok {
			words = append(words, list...)
			continue
		}
		words = append(words, plain(value))
	}
	joined := strings.Join(words, separator)
	return joined, small(joined)
}

// limited is a text that ends with an error before it becomes too large.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxText {
		return 0, fmt.Errorf("it becomes larger than %d bytes, which is more than installers read", maxText)
	}
	return l.Buffer.Write(p)
}

// place is where text/template says that it met an error. Its columns count
// from 0.
var place = regexp.MustCompile(`^template: t:(\d+)(?::(\d+))?: (?:executing "t" at )?(.*)$`)

// sentence turns an error of text/template into one for who wrote the template.
func sentence(name string, err error) error {
	m := place.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if m == nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	at, said := "line "+m[1], m[3]
	if m[2] != "" {
		var column int
		_, _ = fmt.Sscan(m[2], &column)
		at += fmt.Sprintf(", column %d", column+1)
	}
	for _, w := range [...]struct{ from, to string }{
		{`error calling \w+: `, ``},
		{`map has no entry for key ("[^"]*")`, `there is no value $1`},
		{`can't evaluate field (\w+) in type \S+`, `there is no value $1`},
		{`function "(\w+)" not defined`, `there is no function $1; there are ` + strings.Join(names(), ", ")},
	} {
		said = regexp.MustCompile(w.from).ReplaceAllString(said, w.to)
	}
	return fmt.Errorf("%s: %s: %s", name, at, said)
}
