// Package apitest serves the people's API for tests of its clients: a real store
// in a directory, a real unix socket, images in memory and no engine.
//
// It is for tests only and moves no host: a test that wants a host elsewhere
// writes it to the store, as the engine would. Start at [Start].
package apitest

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/seal"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

// Site is a running people's API.
type Site struct {
	Store  *store.Store
	Shelf  *Shelf
	Socket string
	Box    *seal.Box // of BMCs' passwords

	engine store.Engine
	stop   context.CancelFunc
	tasks  *errgroup.Group
}

// Start serves on a socket in dir; change may alter the API's options.
func Start(dir string, change func(*api.Options)) (*Site, error) {
	ctx, stop := context.WithCancel(context.Background())
	engine, err := boltstore.Open(ctx, dir, boltstore.Options{})
	if err != nil {
		stop()
		return nil, err
	}
	box, err := seal.Open(filepath.Join(dir, "key"))
	if err != nil {
		stop()
		return nil, errors.Join(err, engine.Close())
	}
	s := &Site{
		Store: store.NewSealed(engine, time.Now, box), Shelf: &Shelf{}, Socket: filepath.Join(dir, "m.sock"), Box: box,
		engine: engine, stop: stop, tasks: &errgroup.Group{},
	}
	mirror := store.NewMirror(s.Store)
	o := api.Options{
		Store: s.Store, Mirror: mirror, Images: s.Shelf, Drivers: []string{"callhome"}, Version: "v0-test", Sealer: box, Site: api.Site{Leases: true}, Log: zerolog.Nop(),
	}
	change(&o)
	control, err := api.ListenControl(s.Socket, api.New(o))
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.tasks.Go(func() error { return mirror.Run(ctx) })
	s.tasks.Go(func() error { return control.Run(ctx) })
	<-mirror.Ready()
	return s, nil
}

// Halt ends serving, as a server that is told to stop does; Close is wanted
// still.
func (s *Site) Halt() { s.stop() }

// Close stops serving and closes the store.
func (s *Site) Close() error {
	s.stop()
	return errors.Join(s.tasks.Wait(), s.engine.Close())
}
