package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/media"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/store"
)

// Where the boot plane serves hosts' own ISOs: one directory, and one name that
// ends in .iso, since BMCs take nothing else for an image.
const (
	mediumPrefix = "/m/"
	mediumSuffix = ".iso"
)

// mediumPath is where h's own ISO of its present attempt is.
func mediumPath(h provisioner.Host) string {
	return mediumPrefix + string(h.Status.Attempt.ID) + "-" + mediumToken(h).Reveal() + mediumSuffix
}

// mediumToken opens that ISO. Before an installation it holds the scout, and
// then it is the key that the scout is given on it.
func mediumToken(h provisioner.Host) provisioner.Secret {
	return cmp.Or(h.Status.Attempt.Token, h.Status.Key)
}

// mediumKey reads such a path. No token has a hyphen in it.
func mediumKey(name string) (attempt provisioner.AttemptID, token string, ok bool) {
	key, isISO := strings.CutSuffix(strings.TrimPrefix(name, mediumPrefix), mediumSuffix)
	at := strings.LastIndexByte(key, '-')
	if !isISO || at < 0 || strings.ContainsRune(key, '/') {
		return "", "", false
	}
	return provisioner.AttemptID(key[:at]), key[at+1:], true
}

// ofMedium tells whether an image reaches its host as an ISO of its own.
func ofMedium(w provisioner.Way) bool {
	return w == provisioner.WayMedia || w == provisioner.WayUEFIHTTP
}

// mediums serves hosts' own ISOs below mediumPrefix. Nobody is asked who may
// have one: a BMC and firmware fetch from addresses that are no host's, so the
// token in the path decides.
type mediums struct {
	engine   *engine.Engine
	mirror   *store.Mirror
	store    *store.Store
	boots    *boots
	overlays *overlays
	bases    media.Bases
	reads    *reads
	counts   *counts
	log      zerolog.Logger
}

// ServeHTTP implements [http.Handler].
func (m *mediums) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	attempt, token, ok := mediumKey(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	h, rendering, err := m.allowed(r.Context(), attempt, token)
	if err == nil {
		err = m.serve(w, r, h, rendering)
	}
	if err != nil {
		m.refuse(w, r, attempt, err)
	}
}

// allowed is what an attempt gives its host, for whoever has the token.
func (m *mediums) allowed(ctx context.Context, attempt provisioner.AttemptID, token string) (provisioner.Host, provisioner.Rendering, error) {
	if !m.admits(ctx, attempt, token) {
		return provisioner.Host{}, provisioner.Rendering{}, errNoMedium
	}
	h, r, err := m.engine.Rendering(ctx, attempt)
	if err == nil && !ofMedium(r.Way) {
		err = errNoMedium
	}
	return h, r, err
}

// errNoMedium is all that somebody without the token of a medium is told.
var errNoMedium = &provisioner.Fault{Kind: provisioner.NotFound, Op: "find the medium", Err: errors.New("there is none with this token")}

// admits tells whether the token is that of the attempt.
func (m *mediums) admits(ctx context.Context, attempt provisioner.AttemptID, token string) bool {
	h, ok := m.mirror.ByAttempt(attempt)
	if !ok && m.mirror.Sync(ctx) == nil { // it may be moments old
		h, ok = m.mirror.ByAttempt(attempt)
	}
	return ok && h.Status.Attempt.ID == attempt && mediumToken(h).Matches(token)
}

// refuse says no in a way that those who fetch images understand.
func (m *mediums) refuse(w http.ResponseWriter, r *http.Request, attempt provisioner.AttemptID, err error) {
	switch provisioner.KindOf(err) {
	case provisioner.NotFound:
		http.NotFound(w, r)
	case provisioner.Gone:
		http.Error(w, "this attempt is over", http.StatusGone)
	case provisioner.Retry:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the image is being prepared", http.StatusServiceUnavailable)
	default:
		m.log.Error().Err(err).Str("attempt", string(attempt)).Msg("a host's ISO cannot be served")
		http.Error(w, "the image cannot be read", http.StatusInternalServerError)
	}
}

func (m *mediums) serve(w http.ResponseWriter, r *http.Request, h provisioner.Host, rendering provisioner.Rendering) error {
	own, err := m.overlays.of(rendering)
	if err != nil {
		return err
	}
	base, release, err := m.base(rendering.Image)
	if err != nil {
		return err
	}
	defer release()
	medium := media.Medium{
		Name: path.Base(r.URL.Path), Base: base, Overlay: own.overlay, ETag: own.etag, Modified: rendering.Made,
	}
	medium.Reopen = func() (*os.File, func(), error) {
		_, token, _ := mediumKey(r.URL.Path)
		if _, _, err := m.allowed(r.Context(), rendering.Attempt, token); err != nil {
			return nil, nil, err
		}
		return m.base(rendering.Image)
	}
	if r.Method == http.MethodGet {
		address := remoteAddress(r)
		m.note(r.Context(), h, rendering.Attempt, address)
		medium.Progress = func(offset, length int64) {
			done := m.reads.fetched(rendering.Attempt, address, offset, length, time.Now())
			m.counts.note(rendering.Attempt, provisioner.StageMedium, done, own.overlay.Size())
		}
	}
	media.Serve(w, r, medium)
	return nil
}

// base is the image by its digest, shared with whoever reads it now. That it was
// found damaged meanwhile is asked for every request.
func (m *mediums) base(digest string) (*os.File, func(), error) {
	image, err := m.boots.catalog.Get(digest)
	if err != nil {
		return nil, nil, err
	}
	if len(image.Damage) > 0 {
		return nil, nil, fmt.Errorf("image %s: %w", digest, images.ErrDamaged)
	}
	return m.bases.Open(digest, func() (*os.File, error) { return m.boots.catalog.Base(digest) })
}

// note records that the ISO is being read, and once by whom. A failure costs
// the evidence and not the boot.
func (m *mediums) note(ctx context.Context, h provisioner.Host, attempt provisioner.AttemptID, address string) {
	if !m.reads.asked(attempt, address, time.Now()) {
		return
	}
	err := m.engine.Fetched(ctx, attempt, provisioner.StageMedium)
	if err == nil {
		_, err = m.store.Change(ctx, h.ID, func(h *provisioner.Host) ([]provisioner.Entry, error) {
			return []provisioner.Entry{{
				Host: h.ID, Kind: provisioner.EntryFact, Phase: h.Status.Phase, Attempt: attempt,
				Text: "The host's ISO is being read from " + address + ".", By: "boot plane",
			}}, nil
		})
	}
	if err != nil && provisioner.KindOf(err) != provisioner.Gone {
		m.log.Warn().Err(err).Str("host", string(h.ID)).Str("attempt", string(attempt)).Msg("who reads a host's ISO is not noted")
	}
}

// remoteAddress is where a request came from, without its port.
func remoteAddress(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return from.Addr().Unmap().String()
}
