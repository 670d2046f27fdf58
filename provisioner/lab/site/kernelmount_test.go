package site

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/media"
	"github.com/muster-boot/muster/images/overlay"
)

// mountTime bounds the boot that mounts everything; a healthy one takes a tenth.
const mountTime = 3 * time.Minute

// TestLinuxReadsEveryKindOfHostImage has Debian's kernel mount images of every
// kind by every tree they have, as they are and as a host's own, read by ranges
// over HTTP as a BMC reads them.
func TestLinuxReadsEveryKindOfHostImage(t *testing.T) {
	bases := mountBases(t)
	var drives []mountDrive
	for _, b := range bases {
		drives = append(drives, mountDrive{b.name, b.options}, mountDrive{b.name + "-host", b.options})
	}
	site := httptest.NewServer(mountSite(t, bases))
	defer site.Close()
	listings := bootAndList(t, site.URL, drives)
	for _, b := range bases {
		for _, option := range b.options {
			before, after := listings[b.name+" "+option], listings[b.name+"-host "+option]
			if len(before) < b.files {
				t.Errorf("%s, %s: Linux finds only %d files in the base", b.name, option, len(before))
			}
			compareListings(t, b, option, before, after)
		}
	}
}

// compareListings holds what Linux read of a host's image against what it read
// of the base, and what was wanted.
func compareListings(t *testing.T, b mountBase, option string, before, after map[string]string) {
	t.Helper()
	want := maps.Clone(before)
	for name, content := range b.wanted() {
		maps.DeleteFunc(want, func(_, digest string) bool { return digest == b.known[name] }) // whatever this tree calls it
		want[name] = digestOf(content)
	}
	if option == plainNames { // they are made up; but not what is in the files
		if diff := cmp.Diff(slices.Sorted(maps.Values(want)), slices.Sorted(maps.Values(after))); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%.3000s", b.name, option, diff)
		}
		return
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("%s, %s (-want +got):\n%.3000s", b.name, option, diff)
	}
	for name, digest := range b.known {
		if before[name] != digest {
			t.Errorf("%s, %s: %s is %q in the base, want %q", b.name, option, name, before[name], digest)
		}
	}
}

// mountSite serves each image at /NAME.iso, and a host's own at /NAME-host.iso.
func mountSite(t *testing.T, bases []mountBase) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	for _, b := range bases {
		o := hostImage(t, b)
		for path, o := range map[string]*overlay.Overlay{"/" + b.name + ".iso": nil, "/" + b.name + "-host.iso": o} {
			mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				f, err := os.Open(b.path)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				media.Serve(w, r, media.Medium{Name: path, Base: f, Overlay: o})
			})
		}
	}
	return mux
}

func hostImage(t *testing.T, b mountBase) *overlay.Overlay {
	t.Helper()
	f, err := os.Open(b.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	x, err := overlay.Scan(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	o, err := overlay.Build(f, x, append(mountChanges(), overlay.Change{Args: []string{mountArgument}}))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// readListings parses what the guest wrote: a line "mount NAME OPTION", then
// what sha256sum prints.
func readListings(t *testing.T, written []byte) map[string]map[string]string {
	t.Helper()
	text, _, ended := bytes.Cut(written, []byte(listingsEnd))
	if !ended {
		t.Fatalf("the guest did not come to its end:\n%.2000s", bytes.TrimRight(written, "\x00"))
	}
	out := map[string]map[string]string{}
	var now map[string]string
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "mount "); ok {
			now = map[string]string{}
			out[name] = now
			continue
		}
		digest, name, ok := strings.Cut(line, "  /mnt")
		if !ok || now == nil {
			t.Fatalf("the guest says %q", line)
		}
		now[name] = digest
	}
	return out
}

// bootAndList boots Debian's kernel over the drives and returns what it read.
func bootAndList(t *testing.T, url string, drives []mountDrive) map[string]map[string]string {
	t.Helper()
	dir := t.TempDir()
	kernel, initrd := mountGuest(t, dir, drives)
	result, console := filepath.Join(dir, "result"), filepath.Join(dir, "console")
	if err := os.WriteFile(result, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-machine", "pc", "-m", "512", "-no-reboot",
		"-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1",
		"-serial", "file:" + console,
		"-drive", "if=none,id=result,format=raw,cache=unsafe,file=" + result, "-device", "virtio-blk-pci,drive=result",
		"-device", "virtio-scsi-pci,id=scsi",
	}
	for i, d := range drives {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=cd%d,media=cdrom,readonly=on,format=raw,file.driver=http,file.url=%s/%s.iso", i, url, d.name),
			"-device", fmt.Sprintf("scsi-cd,bus=scsi.0,scsi-id=%d,drive=cd%d,product=cd%d", i, i, i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), mountTime)
	defer cancel()
	runInSlot(ctx, t, console, "qemu-system-x86_64", args...)
	written, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	return readListings(t, written)
}
