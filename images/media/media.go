// Package media serves an image, or a host's own version of one, to BMCs,
// firmware and boot loaders over HTTP: HEAD, single, suffix and several ranges,
// If-Range, 416, and always the exact length. What lies in the base file goes to
// the network by sendfile; only patches pass through memory.
//
// It does not know who may have what, makes no URLs and finds no images; its
// caller does, for every request. It never redirects and never compresses.
//
// Start at [Serve]; [Bases] shares open images between requests.
package media

import (
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/muster-boot/muster/images/overlay"
)

// Medium is what one request is answered with.
type Medium struct {
	// Name is the last part of the URL; ".iso" decides on the Content-Type.
	Name string
	// Base is the image. It is read at offsets only, so requests may share it, as
	// those of [Bases] do. The caller closes it.
	Base *os.File
	// Reopen gives Base once more, to a request of the same client that differs
	// from this one in its range only and that a [Repeater] answers. An error
	// refuses it; it then comes by the caller, as all do without Reopen.
	Reopen func() (f *os.File, release func(), err error)
	// Overlay is what a host's image has beside the base; nil serves the base.
	// Several requests may share one.
	Overlay *overlay.Overlay
	// ETag is strong and quoted, and stands for these bytes for as long as the
	// URL does; empty sends none, and If-Range then only goes by Modified.
	ETag string
	// Modified is the Last-Modified time; zero sends none.
	Modified time.Time
	// Progress is called by the serving goroutine with each run of bytes of the
	// image that was handed to the network, at most a mebibyte; nil for no call.
	Progress func(offset, length int64)
}

// contentType is what UEFI firmware takes for the image of a CD (UEFI
// Specification 2.10, 24.7, HTTP Boot); others do not ask.
func (m Medium) contentType() string {
	if strings.EqualFold(path.Ext(m.Name), ".iso") {
		return "application/vnd.efi-iso"
	}
	return "application/octet-stream"
}

// FileSender is a ResponseWriter that sends a part of a file and leaves its
// position alone. Serve makes most of one; any other writer is served as well.
type FileSender interface {
	http.ResponseWriter
	// SendFile returns how many bytes of the body it took; a file that is too
	// short is an error, or fewer bytes.
	SendFile(f *os.File, offset, length int64) (int64, error)
}

// Repeater is a FileSender that may answer by send what repeats the present
// request but for its range. Where that refuses, before the first byte, or tells
// of no such range, Serve's caller is asked.
type Repeater interface {
	FileSender
	Repeat(send func(w http.ResponseWriter, offset, length int64) error)
}

// Serve answers a GET or HEAD. An error of the base file after the first byte
// cuts the connection, so that nobody takes a part for the whole.
func Serve(w http.ResponseWriter, r *http.Request, m Medium) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	c, err := open(m)
	if err != nil {
		http.Error(w, "the image cannot be read", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", m.contentType())
	h.Set("Accept-Ranges", "bytes")
	if m.ETag != "" {
		h.Set("ETag", m.ETag)
	}
	out, ok := w.(FileSender)
	if !ok {
		own := &ownFile{ResponseWriter: w}
		defer own.close()
		out = own
	}
	if again, ok := w.(Repeater); ok && m.Reopen != nil {
		again.Repeat(m.again)
	}
	// The standard library decides what is asked for, and copies it with
	// io.CopyN; sender takes that copy over.
	http.ServeContent(&sender{out, c}, r, "", m.Modified, c)
}
