package recipe

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// masked stands in place of a secret.
const masked = "********"

// minSecret is the length, in bytes, below which a text is no secret: it would
// be found everywhere.
const minSecret = 4

// Mask is a rendering that may be shown: each of the secrets, in every form
// that templates write them in, and every text or number under a key that
// names a secret is covered. All else keeps every byte. The rendering stays as it was.
func Mask(r Rendered, secrets []string) Rendered {
	m := newMask(secrets)
	out := Rendered{Args: m.texts(r.Args)}
	for _, d := range r.Documents {
		out.Documents = append(out.Documents, Document{d.Name, d.Type, m.document(d.Content)})
	}
	for _, d := range r.Seed {
		out.Seed = append(out.Seed, Document{d.Name, d.Type, m.document(d.Content)})
	}
	for _, c := range r.Medium {
		if c.Content != nil {
			c.Content = m.document(c.Content)
		}
		out.Medium = append(out.Medium, Change{c.Path, c.Content, m.texts(c.Args), slices.Clone(c.Drop)})
	}
	return out
}

// mask covers secrets.
type mask struct{ secrets *strings.Replacer }

// newMask knows the secrets as they are, in JSON, in a URL and in base64; of two
// that begin alike the longer is found first.
func newMask(secrets []string) mask {
	var forms []string
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		forms = append(forms, s, url.PathEscape(s), url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
		if quoted, err := toJSON(s); err == nil {
			forms = append(forms, strings.Trim(string(quoted), `"`), strings.ReplaceAll(s, `'`, `'\''`))
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, masked)
	}
	return mask{strings.NewReplacer(pairs...)}
}

func (m mask) texts(list []string) []string {
	var out []string
	for _, t := range list {
		out = append(out, string(m.document([]byte(t))))
	}
	return out
}

// document covers the texts under keys first: their places are those of the
// document as it is.
func (m mask) document(content []byte) []byte {
	return []byte(m.secrets.Replace(string(coverLines(coverKeys(content)))))
}

// secretKey tells keys by their names; "keys" are public ones.
var secretKey = regexp.MustCompile(`(?i)(passw|passphrase|secret|token|private|(^|[^a-z])psk$|(^|[a-z_.-])key$|ciphertext)`)

// publicKey are those that only look so.
var publicKey = regexp.MustCompile(`(?i)(public_?key|authorized_?key|keyboard|secretref)`)

func isSecret(key string) bool { return secretKey.MatchString(key) && !publicKey.MatchString(key) }

// span is where a text begins and ends in a document.
type span struct{ from, to int }

// coverKeys covers texts, and lists of texts, under keys that name secrets. It
// goes through the parts of a document that are JSON, which is what muster
// writes where a format allows it.
func coverKeys(content []byte) []byte {
	var spans []span
	from, tries := 0, 0
	for line := range bytes.Lines(content) {
		start := from
		if from += len(line); line[0] != '{' || tries > maxTries || len(spans) > 0 && start < spans[len(spans)-1].to {
			continue
		}
		tries++
		for _, s := range jsonSecrets(content[start:]) {
			spans = append(spans, span{start + s.from, start + s.to})
		}
	}
	return cover(content, spans)
}

// maxTries bounds how often a line that begins like JSON is read as such.
const maxTries = 256

// cover puts the mask in place of the spans.
func cover(content []byte, spans []span) []byte {
	var out bytes.Buffer
	at := 0
	for _, s := range spans {
		out.Write(content[at:s.from])
		out.WriteString(masked)
		at = s.to
	}
	out.Write(content[at:])
	return out.Bytes()
}

// jsonSecrets finds the texts to cover in the value that a text begins with;
// none if it is no JSON.
func jsonSecrets(content []byte) []span {
	r := reader{decoder: json.NewDecoder(bytes.NewReader(content)), content: content}
	r.decoder.UseNumber()
	if err := r.value(false); err != nil {
		return nil
	}
	return r.spans
}

// reader goes through one JSON value.
type reader struct {
	decoder *json.Decoder
	content []byte
	spans   []span
}

// value reads one value, which stands under a key that names a secret, or not.
func (r *reader) value(secret bool) error {
	before := int(r.decoder.InputOffset())
	token, err := r.decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return r.list(secret)
		}
		return r.object(secret)
	case string:
		if secret && token != "" {
			r.spans = append(r.spans, r.inside(before))
		}
	case json.Number: // a password of digits that nobody quoted
		if end := int(r.decoder.InputOffset()); secret {
			r.spans = append(r.spans, span{end - len(token), end})
		}
	}
	return nil
}

// inside is where the text that was just read stands, without its quotes.
func (r *reader) inside(before int) span {
	from := before + bytes.IndexByte(r.content[before:], '"') + 1
	return span{from, int(r.decoder.InputOffset()) - 1}
}

func (r *reader) list(secret bool) error {
	for r.decoder.More() {
		if err := r.value(secret); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	return err
}

// object reads a map; one under a key that names a secret is secret but for what
// its own keys say is public.
func (r *reader) object(secret bool) error {
	for r.decoder.More() {
		key, err := r.decoder.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return fmt.Errorf("%v is no key", key)
		}
		if err := r.value(isSecret(name) || secret && !publicKey.MatchString(name)); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	return err
}

// lineSecrets are how the formats that consist of lines say secrets: a question
// of a preseed with its answer, options and commands of a kickstart, keys of
// YAML. The last group of each is the secret.
var lineSecrets = [...]*regexp.Regexp{
	regexp.MustCompile(`(?im)^[ \t]*\S+[ \t]+\S*(?:passw|passphrase|secret|token)\S*[ \t]+(?:password|string)[ \t]+(\S.*)$`),
	regexp.MustCompile(`(?im)^[ \t]*\S+[ \t]+\S+[ \t]+password[ \t]+(\S.*)$`),
	regexp.MustCompile(`(?i)--[a-z-]*(?:password|passphrase|secret|token|key)[= ]("[^"\n]*"|'[^'\n]*'|[^\s"'\\]+)`),
	regexp.MustCompile(`(?m)^[ \t]*(?:rootpw|sshpw)\b(?:[ \t]+--\S+)*[ \t]+([^-\s].*)$`),
	regexp.MustCompile(`(?im)^[ \t-]*"?[\w.-]*(?:passw|passphrase|secret|token|private_?key)[\w.-]*"?:[ \t]+([^\s{\["].*)$`),
}

// coverLines covers what the lines of a document say under such names.
func coverLines(content []byte) []byte {
	for _, pattern := range lineSecrets {
		var spans []span
		for _, m := range pattern.FindAllSubmatchIndex(content, -1) {
			if text := content[m[2]:m[3]]; bytes.ContainsAny(text, "*") && string(bytes.Trim(text, `*"'`)) == "" {
				continue // covered already
			}
			if isPlain(content[m[2]:m[3]]) {
				continue
			}
			spans = append(spans, span{m[2], m[3]})
		}
		content = cover(content, spans)
	}
	return content
}

// isPlain tells answers that are no secrets whatever their question's name.
func isPlain(value []byte) bool {
	switch strings.TrimRight(string(value), ",") {
	case "true", "false", "null", "!":
		return true
	}
	return false
}
