package redfish

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Object is a resource as the BMC gave it. Its readers take a path of keys and
// never fail: a property that is missing, null or of another type is "" or not
// ok, and costs that one fact. It is read-only, so safe for concurrent use.
type Object map[string]any

// parseObject reads a JSON object; anything else is no object.
func parseObject(body []byte) (Object, bool) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var o Object
	if err := dec.Decode(&o); err != nil || o == nil {
		return nil, false
	}
	_, err := dec.Token()
	return o, err == io.EOF
}

// at walks the path.
func (o Object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// Text is a string, or a number as it was written, without blanks around it.
func (o Object) Text(path ...string) string { return text(o.at(path...)) }

func text(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	}
	return ""
}

// Bool is true or false, also where the BMC writes it as a string.
func (o Object) Bool(path ...string) (value, ok bool) {
	switch v := o.at(path...).(type) {
	case bool:
		return v, true
	case string:
		b, err := strconv.ParseBool(strings.ToLower(v))
		return b, err == nil
	}
	return false, false
}

// Number is a number, also where the BMC writes it as a string.
func (o Object) Number(path ...string) (float64, bool) {
	n, err := strconv.ParseFloat(o.Text(path...), 64)
	return n, err == nil
}

// Texts are the strings of a list; other entries are left out.
func (o Object) Texts(path ...string) []string {
	list, _ := o.at(path...).([]any)
	var texts []string
	for _, v := range list {
		if s := text(v); s != "" {
			texts = append(texts, s)
		}
	}
	return texts
}

// Object is an object below this one, empty if there is none.
func (o Object) Object(path ...string) Object {
	m, _ := o.at(path...).(map[string]any)
	return m
}

// Objects are the objects of a list; a single object counts as a list of one,
// as some BMCs write it.
func (o Object) Objects(path ...string) []Object {
	list, ok := o.at(path...).([]any)
	if !ok {
		list = []any{o.at(path...)}
	}
	var objects []Object
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			objects = append(objects, m)
		}
	}
	return objects
}

// Keys are the names of an object's properties, sorted.
func (o Object) Keys(path ...string) []string {
	return slices.Sorted(maps.Keys(o.Object(path...)))
}

// Link is the path that a reference names (DSP0266 §9.6), "" if there is none.
func (o Object) Link(path ...string) string {
	return local(o.Text(append(slices.Clone(path), "@odata.id")...))
}

// Links are the paths that a list of references names.
func (o Object) Links(path ...string) []string {
	var links []string
	for _, ref := range o.Objects(path...) {
		if l := ref.Link(); l != "" {
			links = append(links, l)
		}
	}
	return links
}

// local keeps the path of a URL that a BMC gave, never its host: nobody is sent
// elsewhere with a session's token.
func local(url string) string {
	if _, rest, found := strings.Cut(url, "://"); found {
		_, path, _ := strings.Cut(rest, "/")
		url = "/" + path
	}
	if !strings.HasPrefix(url, "/") || strings.HasPrefix(url, "//") || strings.ContainsAny(url, " \r\n\\") {
		return ""
	}
	return url
}
