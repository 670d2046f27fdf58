package scout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

const plenty = 1 << 30

func quiet(string) {}

func enoughMemory() int64 { return plenty }

func serveFiles(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/one", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") })
	mux.HandleFunc("/two", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "abc") })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "too little")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestInitrdsLieBehindEachOtherAligned(t *testing.T) {
	url := serveFiles(t)
	b := netboot{client: http.DefaultClient, free: enoughMemory}
	var said []string
	f, err := b.fetch(t.Context(), "initrd", []string{url + "/one", url + "/two"}, func(s string) { said = append(said, s) })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, plenty))
	if err != nil {
		t.Fatal(err)
	}
	if want := "12345\x00\x00\x00abc\x00"; string(got) != want {
		t.Errorf("file is %q, want %q", got, want)
	}
	if len(said) != 2 || said[0] != "Fetched one, 0.0 MB." {
		t.Errorf("said %q", said)
	}
}

func TestABadDownloadIsAnErrorThatNamesIt(t *testing.T) {
	url := serveFiles(t)
	b := netboot{client: http.DefaultClient, free: enoughMemory}
	for path, want := range map[string]string{"/none": "404", "/cut": "EOF"} {
		_, err := b.fetch(t.Context(), "kernel", []string{url + path}, quiet)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), url+path) {
			t.Errorf("%s: error is %v", path, err)
		}
		if IsRefused(err) {
			t.Errorf("%s: the error says that it will never work", path)
		}
	}
}

func TestAnImageTooLargeForTheMemoryIsRefused(t *testing.T) {
	b := netboot{client: http.DefaultClient, free: func() int64 { return 14 }}
	if _, err := b.fetch(t.Context(), "kernel", []string{serveFiles(t) + "/one"}, quiet); !IsRefused(err) {
		t.Errorf("error is %v", err)
	}
	if err := fits(100, 300); err != nil {
		t.Errorf("100 bytes do not fit into 300: %v", err)
	}
}

// dripping is a transport whose answers bring one byte at each interval.
type dripping struct {
	every time.Duration
	bytes int
}

func (d dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, ContentLength: int64(d.bytes), Body: &drip{ctx: r.Context(), d: d}, Request: r}, nil
}

type drip struct {
	ctx context.Context
	d   dripping
}

func (d *drip) Read(p []byte) (int, error) {
	if d.d.bytes == 0 {
		return 0, io.EOF
	}
	if !pause(d.ctx, d.d.every) {
		return 0, d.ctx.Err()
	}
	d.d.bytes--
	p[0] = 'x'
	return 1, nil
}

func (d *drip) Close() error { return nil }

func TestASlowDownloadIsWaitedForAndAStalledOneIsNot(t *testing.T) {
	for every, stalls := range map[time.Duration]bool{stalled - time.Second: false, stalled + time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			b := netboot{client: &http.Client{Transport: dripping{every, 10}}, free: enoughMemory}
			var kept bytes.Buffer
			_, err := b.download(t.Context(), "http://s/kernel", &kept, quiet)
			if stalls != (err != nil && strings.Contains(err.Error(), "nothing came for 30s")) {
				t.Errorf("a byte every %s: %v after %d bytes", every, err, kept.Len())
			}
		})
	}
}

func TestAnswersOfKexecAreSorted(t *testing.T) {
	for _, err := range []error{unix.EPERM, unix.EKEYREJECTED, unix.ENOSYS} {
		if got := kexecError(err); !IsRefused(got) || !errors.Is(got, err) {
			t.Errorf("%v becomes %v, which is not final", err, got)
		}
	}
	if got := kexecError(unix.ENOMEM); IsRefused(got) || got == nil {
		t.Errorf("ENOMEM becomes %v", got)
	}
	if got := kexecError(nil); got != nil {
		t.Errorf("success becomes %v", got)
	}
}

func TestAReopenedFileCanBeReadAndIsNotOpenForWriting(t *testing.T) {
	f, err := memoryFile("kernel")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "kernel"); err != nil {
		t.Fatal(err)
	}
	r, err := reopen(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "kernel" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := r.WriteString("x"); err == nil {
		t.Error("it can be written")
	}
	if _, err := f.WriteString("x"); err == nil {
		t.Error("the first file is still open")
	}
}

func TestTheNextBootIsThePresentOne(t *testing.T) {
	dir := t.TempDir()
	if err := bootAgain(dir); err != nil {
		t.Errorf("without EFI variables: %v", err)
	}
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, bootCurrent), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte{6, 0, 0, 0, 3, 1})
	if err := bootAgain(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, bootNext))
	if want := []byte{7, 0, 0, 0, 3, 1}; err != nil || !bytes.Equal(got, want) {
		t.Errorf("BootNext is %v, %v, want %v", got, err, want)
	}
	write([]byte{6, 0, 0, 0})
	if err := bootAgain(dir); err == nil {
		t.Error("a BootCurrent without a value was taken")
	}
}

func TestLife(t *testing.T) {
	if got := fmt.Sprint(consoleNames("ttyS0 tty0\n"), consoleNames("ttyS0"), consoleNames("")); got != "[ttyS0 tty0] [ttyS0 tty0] [tty0]" {
		t.Errorf("consoles are %s", got)
	}
	dir := t.TempDir()
	if got := versionOf(os.DirFS(dir), "binary"); got != "binary" {
		t.Errorf("version without a ramdisk is %q", got)
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc/muster"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, versionFile), []byte("1.2+abc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := versionOf(os.DirFS(dir), "binary"); got != "1.2+abc" {
		t.Errorf("version of the ramdisk is %q", got)
	}
	if err := guarded(func() error { panic("boom") }); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a panic becomes %v", err)
	}
	if got := messageOf("4,707,5123456,-;tg3 0000:02:00.0: firmware: failed to load x\n SUBSYSTEM=pci\n DEVICE=+pci:0000:02:00.0\n"); got != "tg3 0000:02:00.0: firmware: failed to load x" {
		t.Errorf("message is %q", got)
	}
}
