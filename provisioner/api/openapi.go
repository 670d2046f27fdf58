package api

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// The document is made of the same table that is served, so it cannot name a
// route that is not there or forget one that is.

type object = map[string]any

// document is the OpenAPI 3.1 description of a table.
func document(table []route, version string) object {
	s := schemas{}
	paths := object{}
	for _, r := range table {
		item, there := paths[r.path].(object)
		if !there {
			item = object{}
			paths[r.path] = item
		}
		item[strings.ToLower(r.method)] = s.operation(r)
	}
	s.of(reflect.TypeFor[v1.Problem]())
	return object{
		"openapi":    "3.1.0",
		"info":       object{"title": "muster", "version": version, "description": "From crate to registered: hosts, orders, images."},
		"paths":      paths,
		"components": object{"schemas": object(s)},
	}
}

func (s schemas) operation(r route) object {
	op := object{
		"operationId": r.id, "summary": r.summary, "x-access": string(r.access),
		"parameters": parameters(r),
		"responses": object{
			r.success(): s.success(r),
			"default":   object{"description": "muster says no", "content": s.content(v1.ProblemType, v1.Problem{})},
		},
	}
	if r.body != nil {
		op["requestBody"] = object{"required": true, "content": s.content(r.media(), r.body)}
	}
	return op
}

// stream is the body or reply of a route that is not JSON; it names its media type.
type stream string

func (r route) media() string {
	if m, isStream := r.body.(stream); isStream {
		return string(m)
	}
	return "application/json"
}

// success is the status that a route answers when all is well.
func (r route) success() string {
	if r.reply == nil {
		return "204"
	}
	return "200"
}

func (s schemas) success(r route) object {
	if r.reply == nil {
		return object{"description": "done"}
	}
	media := "application/json"
	if m, isStream := r.reply.(stream); isStream {
		media = string(m)
	}
	return object{"description": "as asked", "content": s.content(media, r.reply)}
}

func (s schemas) content(media string, shape any) object {
	if _, isStream := shape.(stream); isStream {
		return object{media: object{}}
	}
	return object{media: object{"schema": s.of(reflect.TypeOf(shape))}}
}

func parameters(r route) []object {
	list := []object{}
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(r.path, -1) {
		list = append(list, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range r.query {
		list = append(list, object{"name": p.name, "in": "query", "description": p.text, "schema": object{"type": "string"}})
	}
	return list
}

// schemas are the named shapes met so far.
type schemas map[string]any

// of returns the JSON Schema of a Go type as encoding/json writes it.
func (s schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []object{s.of(t.Elem()), {"type": "null"}}}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Struct:
		return s.named(t)
	}
	panic("the API has no schema for " + t.String())
}

func (s schemas) named(t reflect.Type) object {
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if _, met := s[t.Name()]; met {
		return ref
	}
	properties, required := object{}, []string{}
	s[t.Name()] = object{"type": "object", "properties": properties}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		properties[name] = s.of(t.Field(i).Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	s[t.Name()] = object{"type": "object", "properties": properties, "required": required}
	return ref
}

// serveDocument answers GET /openapi.json.
func serveDocument(table []route, version string) func(*http.Request) Response {
	doc := document(table, version)
	return func(*http.Request) Response { return ok(doc) }
}
