package v1

import (
	"strconv"
	"strings"
)

// ProblemType is the media type of a [Problem] (RFC 9457 §3).
const ProblemType = "application/problem+json"

// Problem is how muster says no (RFC 9457). It is an error.
type Problem struct {
	Type   string   `json:"type"`   // always "about:blank": the title is the status's
	Title  string   `json:"title"`  // of the HTTP status
	Status int      `json:"status"` // HTTP
	Detail string   `json:"detail"` // a sentence that says what to do next
	Kind   string   `json:"kind"`   // who must act: retry, operator, bug, not-found, conflict, invalid, denied
	Errors []Remark `json:"errors,omitempty"`
	Do     string   `json:"do,omitempty"` // "poweroff": what the agent that asked is to do
}

// Denied tells that asking the same again will get the same answer (RFC 9110
// §15.5: the fault is the request's).
func (p *Problem) Denied() bool { return p.Status >= 400 && p.Status < 500 }

// Error implements error: the detail, then one line for each remark.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	for _, r := range p.Errors {
		b.WriteString("\n  ")
		b.WriteString(r.String())
	}
	return b.String()
}

// String is the remark on one line: "manifest line 3, column mac: text".
func (r Remark) String() string {
	where := r.Source
	if r.Line > 0 {
		where = strings.TrimSpace(where + " line " + strconv.Itoa(r.Line))
	}
	if r.Column != "" {
		where = strings.TrimPrefix(where+", column "+r.Column, ", ")
	}
	if where == "" {
		return r.Text
	}
	return where + ": " + r.Text
}
