package site

import (
	"archive/tar"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
	"github.com/muster-boot/muster/provisioner/lab"
)

// Names of what a site's locally managed hosts may be given.
const (
	ContentBundle     = "demo-content.tar.zst"
	ClusterDefinition = "demo-cluster.tgz"
)

// contentSize is large enough to be seen on its way, in bytes.
const contentSize = 16 << 20

// Handoffs are what hosts are handed over to beside muster itself: a stand-in
// for Palette in the lab's namespace, and the files for locally managed hosts.
type Handoffs struct {
	Palette *palettetest.Listening
	Config  string // of muster, that names them
}

// OpenHandoffs serves the stand-in at an address of the lab's server. It ends
// when Palette is closed.
func OpenHandoffs(l *lab.Lab, at netip.AddrPort) (*Handoffs, error) {
	var listener net.Listener
	err := l.Server().Do(func() (err error) {
		listener, err = net.Listen("tcp4", at.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("serve a stand-in for Palette: %w", err)
	}
	const key = "the-key-of-the-demo"
	up, err := palettetest.Serve(palettetest.New(palettetest.Options{Key: key}), listener)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	h := &Handoffs{Palette: up}
	if err := h.write(l.Dir(), key); err != nil {
		return nil, errors.Join(err, up.Close())
	}
	return h, nil
}

// write lays out the files that the configuration names.
func (h *Handoffs) write(dir, key string) error {
	bundles := filepath.Join(dir, "bundles")
	keyFile, caFile := filepath.Join(dir, "palette.key"), filepath.Join(dir, "palette-ca.pem")
	h.Config = fmt.Sprintf("handoff:\n  palette: {endpoint: '%s', api_key: %s, ca: %s}\n  localui: {bundles: %s}\n", h.Palette.Endpoint, keyFile, caFile, bundles)
	return errors.Join(
		os.WriteFile(keyFile, []byte(key+"\n"), 0o600), os.WriteFile(caFile, h.Palette.CA, 0o644), os.MkdirAll(bundles, 0o755),
		archive(filepath.Join(bundles, ContentBundle), contentSize, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
		archive(filepath.Join(bundles, ClusterDefinition), 4<<10, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }),
	)
}

// archive makes a packed tar with one file of noise, as that is what packed
// images are.
func archive(path string, size int, packer func(io.Writer) (io.WriteCloser, error)) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	pack, err := packer(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	noise := make([]byte, size)
	_, _ = rand.Read(noise) // it never fails
	t := tar.NewWriter(pack)
	err = t.WriteHeader(&tar.Header{Name: "content", Mode: 0o644, Size: int64(size)})
	if err == nil {
		_, err = t.Write(noise)
	}
	return errors.Join(err, t.Close(), pack.Close(), file.Close())
}
