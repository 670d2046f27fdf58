package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Response is what a handler answers. Nothing is on the wire before the
// handler returned it, so an error never comes after half an answer.
type Response struct {
	Status int
	Type   string // media type; empty: JSON
	Header http.Header
	Body   any                       // []byte as it is, anything else as JSON; nil: none
	Stream func(http.ResponseWriter) // instead of Body: an answer without an end
	err    error                     // for the log
}

// Bounds of what is read whole, in bytes.
const (
	smallBody  = 64 << 10
	importBody = 16 << 20
)

// statusOf maps the kind of a fault to HTTP. A kind that is not here is a bug.
var statusOf = map[provisioner.Kind]int{
	provisioner.Retry:    http.StatusServiceUnavailable,
	provisioner.Operator: http.StatusConflict,
	provisioner.Bug:      http.StatusInternalServerError,
	provisioner.NotFound: http.StatusNotFound,
	provisioner.Conflict: http.StatusConflict,
	provisioner.Invalid:  http.StatusUnprocessableEntity,
	provisioner.Denied:   http.StatusForbidden,
	provisioner.Gone:     http.StatusGone,
}

func ok(body any) Response { return Response{Status: http.StatusOK, Body: body} }

func done() Response { return Response{Status: http.StatusNoContent} }

// fail turns an error into a problem by its kind. What is our own fault is told
// in general words only; the log has the rest.
func fail(err error) Response {
	kind := provisioner.KindOf(err)
	var input *inputError
	if errors.As(err, &input) {
		kind = provisioner.Invalid
	}
	status, known := statusOf[kind]
	if !known {
		status = http.StatusInternalServerError
	}
	detail := err.Error()
	if status == http.StatusInternalServerError {
		detail = "muster could not do this; its log says why"
	}
	resp := refuse(status, "%s", detail)
	p := resp.Body.(*v1.Problem)
	p.Kind = string(kind)
	if input != nil {
		p.Errors = input.remarks
	}
	if kind == provisioner.Retry {
		resp.Header = http.Header{"Retry-After": {"2"}}
	}
	resp.err = err
	return resp
}

// refuse is a problem with a sentence of its own.
func refuse(status int, format string, args ...any) Response {
	return Response{Status: status, Type: v1.ProblemType, Body: &v1.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: fmt.Sprintf(format, args...), Kind: kindOfStatus(status),
	}}
}

func kindOfStatus(status int) string {
	for kind, s := range statusOf {
		if s == status && kind != provisioner.Operator { // shares its status with Conflict
			return string(kind)
		}
	}
	return string(provisioner.Invalid)
}

// inputError is an input with everything that is wrong in it.
type inputError struct {
	what    string
	remarks []v1.Remark
}

func (e *inputError) Error() string { return e.what }

// invalid is a fault of the caller's input.
func invalid(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.Invalid, Err: fmt.Errorf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.Conflict, Err: fmt.Errorf(format, args...)}
}

func missing(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf(format, args...)}
}

// send writes a response with its length, always: BMCs and boot loaders want it.
func send(w http.ResponseWriter, r *http.Request, resp Response) {
	for key, values := range resp.Header {
		w.Header()[key] = values
	}
	w.Header().Set("Cache-Control", "no-store")
	if resp.Stream != nil {
		resp.Stream(w)
		return
	}
	body, media := render(resp)
	if body != nil {
		w.Header().Set("Content-Type", media)
	}
	if resp.Status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(resp.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client went away; there is nobody to tell
	}
}

func render(resp Response) (body []byte, media string) {
	media = resp.Type
	if media == "" {
		media = "application/json"
	}
	switch b := resp.Body.(type) {
	case nil:
		return nil, media
	case []byte:
		return b, media
	}
	body, err := json.Marshal(resp.Body)
	if err != nil {
		panic(fmt.Sprintf("a shape of v1 does not marshal: %v", err))
	}
	return append(body, '\n'), media
}

// decode reads a person's JSON of at most limit bytes. Unknown keys are
// refused: a misspelt wish must not be a silent no-op.
func decode(r *http.Request, limit int64, into any) error {
	return decodeJSON(r, limit, into, true)
}

// decodeLoose reads the JSON of a host. Unknown keys are left alone: a newer
// scout may know more than its server.
func decodeLoose(r *http.Request, limit int64, into any) error {
	return decodeJSON(r, limit, into, false)
}

func decodeJSON(r *http.Request, limit int64, into any, strict bool) error {
	text, err := readBody(r, limit)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(into); err != nil {
		return invalid("the body is not the JSON that is wanted here: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return invalid("something follows the JSON value in the body")
	}
	return nil
}

// readBody reads a body of at most limit bytes.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, invalid("the body is larger than the %d KiB that are read here", limit>>10)
	}
	if err != nil {
		return nil, invalid("the body did not come whole: %v", err)
	}
	return text, nil
}
