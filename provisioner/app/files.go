package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/media"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/pxe/httpboot"
)

// files serves the files of images straight out of the catalog, below
// filePrefix: to hosts that the Decider serves, and only what an attempt of a
// host boots or writes. That a host fetched its own kernel or root is evidence of
// the stage before, and is noted for its attempt.
type files struct {
	boots   *boots
	decider *decider
	mirror  *store.Mirror
	engine  *engine.Engine
	counts  *counts
	log     zerolog.Logger
}

// ServeHTTP implements [http.Handler].
func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	attempt, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, filePrefix), "/")
	digest, name, ok := strings.Cut(rest, "/")
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		http.NotFound(w, r)
		return
	}
	h, ok := f.bootsFrom(r.Context(), provisioner.AttemptID(attempt), digest)
	if !ok {
		http.NotFound(w, r)
		return
	}
	one := request{provisioner.AttemptID(attempt), digest, "/" + name, ""}
	if r.Method == http.MethodGet && f.asks(r, h) {
		one.stage = f.stage(digest, one.name)
	}
	err := f.serve(w, r, one)
	if errors.Is(err, images.ErrNotFound) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		f.log.Error().Err(err).Str("attempt", attempt).Msg("a file of an image cannot be read")
		http.Error(w, "the image cannot be read", http.StatusInternalServerError)
	}
}

// request is what is asked for, and what it is evidence of.
type request struct {
	attempt provisioner.AttemptID
	digest  string
	name    string
	stage   string // empty: nobody's, or none
}

// serve answers, or returns an error before it said anything.
func (f *files) serve(w http.ResponseWriter, r *http.Request, one request) error {
	if f.whole(one) {
		return f.serveWhole(w, r, one)
	}
	content, err := f.boots.catalog.Content(one.digest, one.name)
	if err != nil {
		return err
	}
	defer content.Close()
	f.note(r, one)
	if one.stage == provisioner.StageRootfs {
		w = &counting{ResponseWriter: w, note: func(done int64) { f.counts.note(one.attempt, one.stage, done, content.Size) }}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, path.Base(one.name), content.ModTime, content)
	return nil
}

// whole tells whether all of an image is asked for, and may be: a disk that is
// written, or an ISO whose installer fetches it.
func (f *files) whole(one request) bool {
	image, err := f.boots.catalog.Get(one.digest)
	if err != nil {
		return false
	}
	switch one.name {
	case wholeDisk:
		return image.Form == recipe.Disk
	case wholeISO:
		rec, ok := f.boots.catalog.Recipe(image)
		return ok && image.Form == recipe.ISO && slices.ContainsFunc(rec.Cmdline, func(arg string) bool { return strings.Contains(arg, "{iso}") })
	}
	return false
}

func (f *files) serveWhole(w http.ResponseWriter, r *http.Request, one request) error {
	base, err := f.boots.catalog.Base(one.digest)
	if err != nil {
		return err
	}
	defer base.Close()
	info, err := base.Stat()
	if err != nil {
		return err
	}
	f.note(r, one)
	m := media.Medium{Name: path.Base(one.name), Base: base, ETag: `"` + one.digest + `"`}
	if one.stage != "" {
		m.Progress = func(offset, length int64) { f.counts.note(one.attempt, one.stage, offset+length, info.Size()) }
	}
	media.Serve(w, r, m)
	return nil
}

// counting tells how far a file has gone. It keeps io.ReaderFrom, by which the
// standard server sends files without copying them.
type counting struct {
	http.ResponseWriter
	note func(done int64)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// countEach is how much goes between two counts, in bytes.
const countEach = 1 << 20

// ReadFrom implements [io.ReaderFrom].
func (c *counting) ReadFrom(r io.Reader) (sent int64, err error) {
	limited, isLimited := r.(*io.LimitedReader)
	if !isLimited {
		return io.Copy(c.ResponseWriter, r)
	}
	at := int64(0)
	if s, ok := limited.R.(io.Seeker); ok {
		if at, err = s.Seek(0, io.SeekCurrent); err != nil {
			return 0, err
		}
	}
	for limited.N > 0 {
		want := min(limited.N, countEach)
		n, err := io.Copy(c.ResponseWriter, &io.LimitedReader{R: limited.R, N: want})
		sent, limited.N = sent+n, limited.N-n
		c.note(at + sent)
		if err != nil || n < want {
			return sent, err
		}
	}
	return sent, nil
}

// bootsFrom finds the host whose attempt, present or last, this is, and says
// whether it boots from that image.
func (f *files) bootsFrom(ctx context.Context, attempt provisioner.AttemptID, digest string) (provisioner.Host, bool) {
	h, ok := f.mirror.ByAttempt(attempt)
	if !ok && f.mirror.Sync(ctx) == nil { // it may be moments old
		h, ok = f.mirror.ByAttempt(attempt)
	}
	if !ok {
		return h, false
	}
	if ramdisk, ok := newestScout(f.boots.catalog); ok && ramdisk.Digest == digest {
		return h, true
	}
	image, err := f.boots.catalog.Get(h.Intent.Image)
	return h, err == nil && image.Digest == digest
}

// asks tells whether the request comes from h itself: whoever reads another
// host's files is no evidence of what that host does.
func (f *files) asks(r *http.Request, h provisioner.Host) bool {
	c, _, ok := httpboot.Asker(r.Context())
	if !ok {
		return false
	}
	asking, known := f.decider.find(c)
	return known && asking.ID == h.ID
}

// note records what was fetched. An attempt that ended meanwhile may still read
// its files; it only counts no more.
func (f *files) note(r *http.Request, one request) {
	if one.stage == "" || one.stage == stageDisk {
		return
	}
	err := f.engine.Fetched(r.Context(), one.attempt, one.stage)
	if err != nil && provisioner.KindOf(err) != provisioner.Gone {
		f.log.Warn().Err(err).Str("attempt", string(one.attempt)).Str("stage", one.stage).Msg("a fetched file is not noted")
	}
}

// stageDisk is that of a disk image. It is counted and proves nothing: the scout
// says itself how much it has written.
const stageDisk = "disk"

// stage is what fetching a file of an image is evidence of; empty for none.
func (f *files) stage(digest, name string) string {
	image, err := f.boots.catalog.Get(digest)
	if err != nil {
		return ""
	}
	rec, ok := f.boots.catalog.Recipe(image)
	switch {
	case !ok:
		return ""
	case name == wholeDisk && image.Form == recipe.Disk:
		return stageDisk
	case name == wholeISO && image.Form == recipe.ISO:
		return provisioner.StageRootfs
	case name == rec.Kernel:
		return provisioner.StageKernel
	case name == rec.Rootfs:
		return provisioner.StageRootfs
	case slices.Contains(rec.Initrds, name):
		return provisioner.StageKernel
	}
	return ""
}
