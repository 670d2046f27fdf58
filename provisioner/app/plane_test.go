package app

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/callhome"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/seal"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
	"github.com/muster-boot/muster/pxe/httpboot"
	"github.com/muster-boot/muster/pxe/ipxe"
	"github.com/muster-boot/muster/pxe/pxetest"
)

// line is the network on which the tests' hosts ask, bench another one.
const (
	line      = "line"
	bench     = "bench"
	lineBase  = "http://192.0.2.1:8067"
	benchBase = "http://198.51.100.1:8067"
)

// Two hosts with a lease each, by the loopback address from which they ask, and
// somebody without one.
const (
	firstMAC, firstAddress   = "52:54:00:00:00:01", "127.0.0.2"
	secondMAC, secondAddress = "52:54:00:00:00:02", "127.0.0.3"
	strangerAddress          = "127.0.0.4"
)

func testNetworks() []network {
	return []network{
		{Network: config.Network{Interface: line, DHCP: config.DHCPFull, Unknown: config.UnknownSilent}, address: netip.MustParsePrefix("192.0.2.1/24"), base: lineBase},
		{Network: config.Network{Interface: bench, DHCP: config.DHCPFull, Unknown: config.UnknownDiscover}, address: netip.MustParsePrefix("198.51.100.1/24"), base: benchBase},
	}
}

// rig is the HTTP side of the boot plane over a real store, engine and catalog;
// only the leases are made up.
type rig struct {
	store   *store.Store
	mirror  *store.Mirror
	catalog *images.Catalog
	boots   *boots
	engine  *engine.Engine
	reads   *reads
	counts  *counts
	box     *seal.Box
	scripts *scripts
	address string // of the boot plane
}

func newRig(t *testing.T) *rig {
	t.Helper()
	kv, err := boltstore.Open(t.Context(), t.TempDir(), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := images.Open(t.TempDir(), time.Now, images.Options{})
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: store.New(kv, time.Now), catalog: stored, box: box}
	r.mirror = store.NewMirror(r.store)
	r.boots = &boots{catalog: stored, orders: naming{r.store, stored}, networks: byInterface(testNetworks())}
	r.order(t, provisioner.Order{Name: "o1"})
	e := engine.New(engine.Options{
		Store: r.store, Mirror: r.mirror, Installer: r.boots, Box: box, Drivers: []handoff.Driver{callhome.Driver{}}, Holder: "test", Log: zerolog.Nop(),
		Deadlines: lifecycle.Deadlines{Discover: time.Hour, Verify: time.Hour, Install: time.Hour, Register: time.Hour},
	})
	r.engine, r.reads, r.counts = e, newReads(), newCounts(e, zerolog.Nop())
	server := r.server(e)
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(g.Wait(), stored.Close(), kv.Close()); err != nil {
			t.Error(err)
		}
	})
	ready := make(chan struct{})
	g.Go(func() error { return r.mirror.Run(ctx) })
	await(t, ctx, r.mirror.Ready())
	g.Go(func() error { return e.Run(ctx, ready) })
	await(t, ctx, ready)
	g.Go(func() error { return server.Run(ctx) })
	await(t, ctx, server.Ready())
	r.address = server.Bound()[0].String()
	return r
}

// naming has orders whose rows name every image that there is.
type naming struct {
	*store.Store
	catalog *images.Catalog
}

func (n naming) Order(ctx context.Context, name provisioner.OrderName) (provisioner.Order, error) {
	o, err := n.Store.Order(ctx, name)
	for _, i := range n.catalog.List() {
		o.RowImages = append(o.RowImages, i.Digest)
	}
	return o, err
}

func await(t *testing.T, ctx context.Context, ready <-chan struct{}) {
	t.Helper()
	if err := waitFor(ctx, ready); err != nil {
		t.Fatal("a part of the boot plane never started")
	}
}

// server mounts what muster mounts.
func (r *rig) server(e *engine.Engine) *httpboot.Server {
	d := &decider{hosts: r.mirror, unknown: map[string]config.Unknown{line: config.UnknownSilent, bench: config.UnknownDiscover}}
	parts := planeParts{engine: e, store: r.store, mirror: r.mirror, boots: r.boots, reads: r.reads, counts: r.counts, log: zerolog.Nop()}
	mounts := parts.mounts(d, testNetworks())
	r.scripts = mounts[0].Handler.(*scripts)
	owners := pxetest.Owners{}
	for address, mac := range map[string]string{firstAddress: firstMAC, secondAddress: secondMAC} {
		owners[netip.MustParseAddr(address)], _ = net.ParseMAC(mac)
	}
	endpoint := httpboot.Endpoint{Network: line, Address: netip.MustParseAddrPort("127.0.0.1:0")}
	return httpboot.New([]httpboot.Endpoint{endpoint}, ipxe.NewLoaders(), ipxe.Autoexec, mounts, owners, d, zerolog.Nop(), httpboot.Options{})
}

// set puts an image of plain files, each with its path as content, into the
// catalog.
func (r *rig) set(t *testing.T, name string, paths ...string) images.Image {
	t.Helper()
	var parts []images.SetPart
	for _, p := range paths {
		parts = append(parts, images.SetPart{Path: p, Content: strings.NewReader(name + p)})
	}
	i, err := r.catalog.AddSet(t.Context(), parts, images.AddOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// kairos adds a small ISO in the layout of Kairos.
func (r *rig) kairos(t *testing.T) images.Image {
	t.Helper()
	i := r.iso(t, "COS_LIVE", map[string]string{
		"boot/kernel": "the kernel", "boot/initrd": "the initrd", "rootfs.squashfs": strings.Repeat("the root file system\n", 200_000),
		"boot/grub2/grub.cfg": "menuentry install {\n  linux /boot/kernel cdroot\n  initrd /boot/initrd\n}\n",
	})
	if i.Family != "kairos" {
		t.Fatalf("the ISO is %q that lacks %v", i.Family, i.Lacks)
	}
	return i
}

// iso adds a small ISO with those files.
func (r *rig) iso(t *testing.T, label string, files map[string]string) images.Image {
	t.Helper()
	if _, err := exec.LookPath("xorriso"); err != nil && os.Geteuid() != 0 {
		t.Skip("xorriso is not installed")
	}
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "x.iso")
	var err error
	for name, text := range files {
		name = filepath.Join(dir, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), "xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", label, "-o", out, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: run make lab\n%s", err, said)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i, err := r.catalog.Add(t.Context(), f, images.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// order puts an order into the store, in the place of one of that name.
func (r *rig) order(t *testing.T, o provisioner.Order) {
	t.Helper()
	if before, err := r.store.Order(t.Context(), o.Name); err == nil {
		o.Revision = before.Revision
	}
	if err := r.store.Commit(t.Context(), store.Change{PutOrders: []provisioner.Order{o}}); err != nil {
		t.Fatal(err)
	}
}

// until waits for a host to be as it should.
func (r *rig) until(t *testing.T, id provisioner.HostID, is func(provisioner.Host) bool) provisioner.Host {
	t.Helper()
	changed, stop := r.mirror.Subscribe()
	defer stop()
	for {
		if h, ok := r.mirror.Host(id); ok && is(h) {
			return h
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("host %s never was as it should be", id)
		}
	}
}

// prepared waits until the engine has rendered what a host gets.
func (r *rig) prepared(t *testing.T, id provisioner.HostID) provisioner.Host {
	t.Helper()
	h := r.until(t, id, func(h provisioner.Host) bool { return h.Facts.Prepared != nil })
	if problem := h.Facts.Prepared.Problem; problem != "" {
		t.Fatal(problem)
	}
	return h
}

// list puts hosts into the store and waits until all know them.
func (r *rig) list(t *testing.T, hosts ...provisioner.Host) {
	t.Helper()
	if err := r.store.Commit(t.Context(), store.Change{Put: hosts}); err != nil {
		t.Fatal(err)
	}
	if err := r.mirror.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// expected is a host of a started order that was not seen yet.
func expected(id provisioner.HostID, mac string, image images.Image) provisioner.Host {
	rules, _ := profile.Builtin("edge-minimum")
	return provisioner.Host{
		ID: id,
		Intent: provisioner.Intent{Order: "o1", Row: provisioner.Row{MACs: []string{mac}, Name: string(id)},
			Rules: rules, Image: image.Digest, Handoff: callhome.Name, Started: true},
		Status: provisioner.Status{Phase: provisioner.Expected, Since: time.Now(), Why: "Listed in order o1, not seen yet."},
	}
}

// ask asks the boot plane from a loopback address.
func (r *rig) ask(t *testing.T, method, from, path string) (status int, body string) {
	t.Helper()
	resp, body := r.askFor(t, method, from, path, nil)
	return resp.StatusCode, body
}

// askFor is ask with a header, and gives all of the answer.
func (r *rig) askFor(t *testing.T, method, from, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	return answerOf(t, &c, req)
}

// answerOf is all of an answer.
func answerOf(t *testing.T, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func (r *rig) host(t *testing.T, id provisioner.HostID) provisioner.Host {
	t.Helper()
	h, err := r.store.Host(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// scriptOf is the path of a host's own script.
func scriptOf(t *testing.T, mac string) string {
	t.Helper()
	address, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return scriptPath(address)
}
