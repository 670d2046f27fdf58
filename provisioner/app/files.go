package app

import (
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/pxe/httpboot"
)

// files serves the files of images straight out of the catalog, below
// filePrefix: to hosts that the Decider serves, and only what an attempt of a
// host boots. That a host fetched its own kernel or root is evidence of the
// stage before, and is noted for its attempt.
type files struct {
	boots   *boots
	decider *decider
	mirror  *store.Mirror
	engine  *engine.Engine
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
	name = "/" + name
	content, err := f.boots.catalog.Content(digest, name)
	if errors.Is(err, images.ErrNotFound) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		f.log.Error().Err(err).Str("attempt", attempt).Msg("a file of an image cannot be read")
		http.Error(w, "the image cannot be read", http.StatusInternalServerError)
		return
	}
	defer content.Close()
	if r.Method == http.MethodGet && f.asks(r, h) {
		f.note(r, provisioner.AttemptID(attempt), digest, name)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, path.Base(name), content.ModTime, content)
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
	if ramdisk, ok := f.boots.catalog.Newest(scoutFamily); ok && ramdisk.Digest == digest {
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
func (f *files) note(r *http.Request, attempt provisioner.AttemptID, digest, name string) {
	stage := f.stage(digest, name)
	if stage == "" {
		return
	}
	err := f.engine.Fetched(r.Context(), attempt, stage)
	if err != nil && provisioner.KindOf(err) != provisioner.Gone {
		f.log.Warn().Err(err).Str("attempt", string(attempt)).Str("stage", stage).Msg("a fetched file is not noted")
	}
}

// stage is what fetching a file of an image is evidence of; empty for none.
func (f *files) stage(digest, name string) string {
	image, err := f.boots.catalog.Get(digest)
	if err != nil {
		return ""
	}
	rec, ok := recipe.Find(image.Family)
	switch {
	case !ok:
		return ""
	case name == rec.Kernel:
		return provisioner.StageKernel
	case name == rec.Rootfs:
		return provisioner.StageRootfs
	case slices.Contains(rec.Initrds, name):
		return provisioner.StageKernel
	}
	return ""
}
