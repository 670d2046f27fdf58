// Package app is the composition root: it builds muster's rooms from a
// configuration, joins those that may not know each other, runs them and stops
// them.
//
// It decides nothing about hosts; the small adapters here only translate (a
// boot client into a host, a host's intent into what its image boots). Start at
// [Run].
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/bmc"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/evidence"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/callhome"
	"github.com/muster-boot/muster/provisioner/handoff/localui"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/seal"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
	"github.com/muster-boot/muster/pxe/ipxe"
	"github.com/muster-boot/muster/pxe/lease"
)

// Options of a run; the zero value works but says nothing.
type Options struct {
	Version string // of muster
	Log     zerolog.Logger
	Out     io.Writer // gets a few lines on what is served; nil means nobody
}

// Run serves until ctx ends, then stops in order and returns nil. An error says
// what could not be opened, bound or kept, and what to do about it.
func Run(ctx context.Context, cfg config.Config, o Options) (err error) {
	if o.Out == nil {
		o.Out = io.Discard
	}
	nets, err := findNetworks(cfg)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	s, err := open(ctx, cfg, nets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.serve(ctx, cfg, nets, o); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// stock is what lies on disk: opened first, closed last.
type stock struct {
	kv      store.Engine
	catalog *images.Catalog
	leases  *lease.Book
	box     *seal.Box
	https   tls.Certificate
	signer  evidence.Key
	shelf   *evidence.Shelf
}

func open(ctx context.Context, cfg config.Config, nets []network) (*stock, error) {
	s := &stock{}
	kv, err := boltstore.Open(ctx, filepath.Join(cfg.Data, "store"), boltstore.Options{})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s.kv = kv
	if s.box, err = seal.Open(filepath.Join(cfg.Data, "key")); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.https, err = openCertificate(cfg, nets, time.Now()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.signer, err = evidence.OpenKey(filepath.Join(cfg.Data, "record-key")); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.shelf, err = evidence.OpenShelf(cfg.Data, s.signer); err != nil {
		return nil, errors.Join(err, s.close())
	}
	book, err := recipes(cfg)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.catalog, err = images.Open(filepath.Join(cfg.Data, "images"), time.Now, images.Options{Recipes: book}); err != nil {
		return nil, errors.Join(fmt.Errorf("open the image catalog: %w", err), s.close())
	}
	if s.leases, err = lease.Open(filepath.Join(cfg.Data, "leases"), lease.Options{}); err != nil {
		return nil, errors.Join(fmt.Errorf("open the leases: %w", err), s.close())
	}
	return s, nil
}

// recipes are those that muster brings, and the site's own.
func recipes(cfg config.Config) (recipe.Book, error) {
	if cfg.Recipes == "" {
		return recipe.Builtin(), nil
	}
	return recipe.Load(cfg.Recipes)
}

func (s *stock) close() error {
	var errs []error
	if s.catalog != nil {
		errs = append(errs, s.catalog.Close())
	}
	if s.leases != nil {
		errs = append(errs, s.leases.Close())
	}
	if s.kv != nil {
		errs = append(errs, s.kv.Close())
	}
	return errors.Join(errs...)
}

// holder names this server in the engine's lease. One store is open in one
// process at a time, so a restarted server is the same holder and need not wait.
const holder = "muster"

// serve joins the rooms and runs them: first the store's mirror and the engine,
// then, when these can answer, the planes.
func (s *stock) serve(ctx context.Context, cfg config.Config, nets []network, o Options) error {
	st := store.NewSealed(s.kv, time.Now, s.box)
	mirror := store.NewMirror(st)
	var e *engine.Engine // the local driver counts with it, once it is there
	local := localui.New(localui.Options{
		Bundles: cfg.Handoff.LocalUI.Bundles,
		Counted: func(ctx context.Context, attempt provisioner.AttemptID, stage string, bytes, total int64) {
			_ = e.Counted(ctx, attempt, stage, bytes, total) // of an attempt that is over there is nothing to count
		},
	})
	central, err := centralPalette(cfg, s.signer.Mark())
	if err != nil {
		return err
	}
	drivers := []handoff.Driver{callhome.Driver{}, local, central}
	b := &boots{catalog: s.catalog, orders: st, networks: byInterface(nets),
		site: recipe.Site{Name: cfg.Site.Name, TimeZone: cfg.Site.TimeZone, Values: cfg.Site.Values}}
	rec := &recorder{store: st, catalog: s.catalog, shelf: s.shelf, key: s.signer, site: cfg.Site.Name, version: o.Version}
	drive := bmc.New(bmc.Options{Secrets: s.box, Media: handover{nets}, Log: o.Log})
	e = engine.New(engine.Options{
		Store: st, Mirror: mirror, Installer: b, Box: s.box, Recorder: rec, Drivers: drivers, Holder: holder, Log: o.Log,
		Controller: drive,
		PowerOn:    lifecycle.Pace{Hosts: cfg.PowerOn.Hosts, Every: cfg.PowerOn.Every},
		Deadlines: lifecycle.Deadlines{
			Discover: cfg.Deadlines.Discover, Verify: cfg.Deadlines.Verify,
			Install: cfg.Deadlines.Install, Register: cfg.Deadlines.Register,
		},
	})
	out, err := newOutbox(cfg, st, mirror, o.Log)
	if err != nil {
		return err
	}
	read, strange := newReads(), newStrangers()
	view := &viewer{boots: b, engine: e, reads: read, networks: nets}
	rec.given = view.Preview // before anything runs
	people := api.New(api.Options{
		Store: st, Mirror: mirror, Images: catalog{s.catalog}, Drivers: names(drivers), Site: siteOf(cfg, nets),
		Version: o.Version, Sealer: s.box, Strangers: strange.list, Controllers: Controllers{drive, e.NoteBMC}, Installer: view, Handoffs: handoffs{e}, Reporter: rec,
		Webhooks: func() []v1.Webhook { return webhookShapes(out.States()) },
		Reasons:  b.reasons, Log: o.Log,
	})
	control, err := api.ListenControl(cfg.Socket, people)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	serving := make(chan struct{})
	g.Go(func() error {
		_ = waitFor(ctx, serving) // where it never comes, Run only takes the socket away again
		return control.Run(ctx)
	})
	g.Go(func() error { return mirror.Run(ctx) })
	if err := waitFor(ctx, mirror.Ready()); err != nil {
		return g.Wait()
	}
	ready := make(chan struct{})
	g.Go(func() error { return e.Run(ctx, ready) })
	g.Go(func() error { return local.Run(ctx) })
	if err := waitFor(ctx, ready); err != nil {
		return g.Wait()
	}
	g.Go(func() error { return out.Run(ctx) })
	p := newPlane(cfg, nets, planeParts{
		engine: e, store: st, mirror: mirror, boots: b, reads: read, strangers: strange, counts: newCounts(e, o.Log),
		leases: s.leases, loaders: ipxe.NewLoaders(), tls: bootTLS(s.https), log: o.Log,
	})
	p.run(ctx, g)
	if err := p.wait(ctx); err != nil {
		return g.Wait()
	}
	close(serving)
	sayWhatIsServed(o.Out, cfg, nets, certificateWords(s.https.Leaf, addressesOf(nets), time.Now()), b.reasons())
	return g.Wait()
}

func names(drivers []handoff.Driver) []string {
	var out []string
	for _, d := range drivers {
		out = append(out, d.Name())
	}
	return out
}

func waitFor(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-ready:
		return nil
	}
}
