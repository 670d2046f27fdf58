package httpboot

import (
	"bytes"
	"net/http"
	"strings"
)

// headEnd is the length of the head that b begins with, and 0 if it is not all
// there. Like the standard library it takes lines without CR for whole.
func headEnd(b []byte) int {
	for i := 0; ; {
		at := bytes.IndexByte(b[i:], '\n')
		if at < 0 {
			return 0
		}
		i += at + 1
		if bytes.HasPrefix(b[i:], []byte("\n")) {
			return i + 1
		}
		if bytes.HasPrefix(b[i:], []byte("\r\n")) {
			return i + 2
		}
	}
}

// plainHead tells whether a head is text, of fields with plain names, one of
// them Host (RFC 9112, 3.2 and 5).
func plainHead(head []byte) bool {
	for _, c := range head {
		if c > '~' || c < ' ' && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	_, fields, _ := bytes.Cut(head, []byte("\n"))
	hosts := 0
	for line := range bytes.Lines(fields) {
		line = bytes.TrimRight(line, "\r\n")
		name, value, ok := bytes.Cut(line, []byte(":"))
		if len(line) > 0 && (!ok || !onlyOf(name, "-_")) {
			return false
		}
		if bytes.EqualFold(name, []byte("Host")) {
			hosts++
			if !onlyOf(bytes.Trim(value, " \t"), "-_.:[]") {
				return false
			}
		}
	}
	return hosts == 1
}

// onlyOf tells whether b has letters, digits and signs only, and has any.
func onlyOf(b []byte, signs string) bool {
	for _, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(signs, c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// plainRequest tells whether a request wants nothing but an answer.
func plainRequest(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.Host != "" &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		r.Header.Get("Expect") == "" && r.Header.Get("Upgrade") == ""
}
