package lab

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// bootableCD makes an ISO image whose boot sector says that it runs, and then
// does what code does.
func bootableCD(t *testing.T, message string, code []byte) string {
	t.Helper()
	dir := t.TempDir()
	sector := bootSector(sayUp, code)
	copy(sector[0x80:], message+"\r\n\x00")
	iso := filepath.Join(dir, "cd.iso")
	make := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-b", "boot.img", "-no-emul-boot", "-boot-load-size", "1", "-o", iso, dir)
	if err := os.WriteFile(filepath.Join(dir, "boot.img"), sector, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return iso
}

// ranged serves a directory, at /media too, and keeps what it was asked.
type ranged struct {
	files http.Handler

	mu    sync.Mutex
	asked []*http.Request
}

func (r *ranged) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	r.asked = append(r.asked, q)
	r.mu.Unlock()
	r.files.ServeHTTP(w, q)
}

func (r *ranged) requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func serveMedia(t *testing.T, l *Lab, dir string) *ranged {
	t.Helper()
	var listener net.Listener
	err := l.Server().Do(func() (err error) {
		listener, err = net.Listen("tcp4", "10.77.0.1:80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files := http.NewServeMux()
	files.Handle("/", http.FileServer(http.Dir(dir)))
	files.Handle("/media/", http.StripPrefix("/media", http.FileServer(http.Dir(dir))))
	media := &ranged{files: files}
	server := &http.Server{Handler: media}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return media
}

// TestDriveAndBootOrderFollowTheirCommands takes one host through what a BMC
// asks of its machine: a medium by URL, once and for good, at rest and running.
func TestDriveAndBootOrderFollowTheirCommands(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	network := oneNetwork[0]
	network.BMC = netip.MustParsePrefix("10.77.0.250/24")
	l := ForTest(t, network)
	cd := bootableCD(t, "CD is up", halt)
	media := serveMedia(t, l, filepath.Dir(cd))
	spec := haltingHost()
	spec.Name, spec.Drive, spec.Boot = "driven", true, []Device{FromDisk, FromCD}
	h, err := l.AddHost(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	writeSector(t, h, bootSector(sayUp, halt))
	const url = "http://10.77.0.1/cd.iso"
	insert := func() error { return h.InsertMedium(ctx, url) }
	eject := func() error { return h.EjectMedium(ctx) }
	on := func() error { return h.PowerOn(ctx) }
	off := func() error { return h.PowerOff(ctx) }
	reset := func() error { return h.Reset(ctx) }
	once := func() error { h.BootOnce(FromCD); return nil }
	for _, step := range []struct {
		what string
		do   func() error
		up   string // what the console shows then; empty for nothing new
	}{
		{"a medium at rest", insert, ""},
		{"a wish for one start", once, ""},
		{"its start", on, "CD is up"},
		{"the start after", reset, "lab host is up"},
		{"a wish while running", once, ""},
		{"its reset", reset, "CD is up"},
		{"a wish over a power-off", once, ""},
		{"power off", off, ""},
		{"its power-on", on, "CD is up"},
		{"another order for good", func() error { return h.SetBoot(FromCD, FromDisk) }, ""},
		{"a reset", reset, "CD is up"},
		{"one more", reset, "CD is up"},
		{"no medium while running", eject, ""},
		{"a reset with an empty drive", reset, "lab host is up"},
		{"a medium while running", insert, ""},
		{"a reset with a medium", reset, "CD is up"},
		{"the medium again", insert, ""},
		{"power off again", off, ""},
		{"no medium at rest", eject, ""},
		{"a start with an empty drive", on, "lab host is up"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		other := map[string]string{"CD is up": "lab host is up", "lab host is up": "CD is up"}[step.up]
		if step.up == "" {
			continue
		}
		if err := h.WaitConsole(ctx, step.up, other); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
	}
	if err := h.InsertMedium(ctx, "http://10.77.0.1/missing.iso"); err == nil || h.Medium() != "" {
		t.Errorf("a URL that is not there: %v, and %q lies in the drive", err, h.Medium())
	}
	if asked := media.requests(); len(asked) < 2 || asked[1].Header.Get("Range") == "" {
		t.Errorf("QEMU asked %d times, want ranges", len(asked))
	}
}

func TestHostSpeaksToItsBMC(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	bmc, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "bmc")})
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	l := ForTest(t, oneNetwork...)
	spec := haltingHost()
	spec.KCS = bmc.Addr().String()
	h, err := l.AddHost(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	if err := bmc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	conn, err := bmc.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	first := make([]byte, 2)
	if _, err := io.ReadFull(conn, first); err != nil {
		t.Fatal(err)
	}
	// What QEMU says first is the version of its protocol.
	if want := []byte{0xff, 1}; !bytes.Equal(first, want) {
		t.Errorf("the host begins with %#x, want %#x", first, want)
	}
}
