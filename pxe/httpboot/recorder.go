package httpboot

import (
	"io"
	"net/http"
)

// recorder notes status and bytes, and turns a redirect that a mounted handler
// makes into 404. It keeps io.ReaderFrom, by which the standard server sends
// files without copying them.
type recorder struct {
	http.ResponseWriter
	status  int
	bytes   int64
	refused bool // a redirect was swallowed, with its body
	cut     bool // something could not be sent
}

// sent is the status that the client saw: a handler that says nothing says 200.
func (w *recorder) sent() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if status < 200 { // informational, another one follows
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.status != 0 {
		return
	}
	if status >= 300 && status < 400 && status != http.StatusNotModified {
		w.Header().Del("Location")
		nothing(w)
		w.refused = true
		return
	}
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return len(b), nil
	}
	n, err := w.ResponseWriter.Write(b)
	w.sending(int64(n), err)
	return n, err
}

func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return io.Copy(io.Discard, r)
	}
	n, err := io.Copy(w.ResponseWriter, r)
	w.sending(n, err)
	return n, err
}

// sending keeps account of a part of the body.
func (w *recorder) sending(n int64, err error) {
	w.bytes += n
	w.cut = w.cut || err != nil
}
