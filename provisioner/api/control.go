package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// Limits of the control plane's listener.
const (
	maxSocketPath = 107 // bytes: sun_path of unix(7) without its final NUL
	headerTimeout = 10 * time.Second
	stopTimeout   = 5 * time.Second
)

// Control serves the people's API on a unix socket that only its owner can
// open.
type Control struct {
	path     string
	listener *net.UnixListener
	handler  http.Handler
}

// ListenControl makes the socket at path. One that a killed muster left behind
// is replaced; one that answers is another muster's, and is refused.
func ListenControl(path string, handler http.Handler) (*Control, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("control socket %s: %d bytes are too long for a unix socket (at most %d): set socket: to a shorter path", path, len(path), maxSocketPath)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = conn.Close() // it was only asked whether somebody is there
		return nil, fmt.Errorf("control socket %s: another muster answers there: stop it, or set socket: to another path", path)
	}
	listener, err := listenPrivately(path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return &Control{path: path, listener: listener, handler: handler}, nil
}

// listenPrivately binds inside a directory that only its owner may enter and
// moves the socket into place when its mode is right, so that there is no
// moment in which others could connect.
func listenPrivately(path string) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, errors.New("there is a file that is no socket: remove it, or set socket: to another path")
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	born := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: born, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // it would remove the name it was born with
	err = errors.Join(os.Chmod(born, 0o600), os.Rename(born, path))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// Run serves until ctx ends, then lets requests end and removes the socket.
func (c *Control) Run(ctx context.Context) error {
	// Watches have no end of their own; this one ends them before the server waits.
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler:           c.handler,
		ReadHeaderTimeout: headerTimeout,
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	var g errgroup.Group
	stopped := make(chan struct{})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-stopped:
		}
		cancel()
		return stop(server)
	})
	err := server.Serve(c.listener)
	close(stopped)
	err = errors.Join(ignore(err, http.ErrServerClosed), g.Wait(), ignore(os.Remove(c.path), os.ErrNotExist))
	if err != nil {
		return fmt.Errorf("serve control socket %s: %w", c.path, err)
	}
	return nil
}

// stop waits for the requests that run, but not for ever.
func stop(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
