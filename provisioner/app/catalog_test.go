package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/fetch"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/apitest"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// people is a client of the people's API over a real catalog, which may fetch
// from 127.0.0.1 only.
func people(t *testing.T) *client.Client {
	t.Helper()
	guard := fetch.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	stored, err := images.Open(t.TempDir(), time.Now, images.Options{Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	site, err := apitest.Start(t.TempDir(), func(o *api.Options) { o.Images = catalog{stored} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(site.Close(), stored.Close()); err != nil {
			t.Error(err)
		}
	})
	c, err := client.New(site.Socket)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// installer is a small ISO laid out as Talos lays out its own.
func installer(t *testing.T) []byte {
	t.Helper()
	if _, err := exec.LookPath("xorriso"); err != nil && os.Geteuid() != 0 {
		t.Skip("xorriso is not installed")
	}
	dir := t.TempDir()
	err := os.Mkdir(filepath.Join(dir, "boot"), 0o700)
	for _, name := range []string{"boot/vmlinuz", "boot/initramfs.xz"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.iso")
	if out, err := exec.CommandContext(t.Context(), "xorriso", "-as", "mkisofs", "-V", "TALOS_V1", "-o", file, dir).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v (install it with make lab)\n%s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnImageIsFetchedProvenShownAndRemoved(t *testing.T) {
	c, iso := people(t), installer(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/x.iso", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(iso))
	})
	sums := ""
	mux.HandleFunc("/SHA256SUMS", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sums) })
	mirror := httptest.NewServer(mux)
	defer mirror.Close()

	nothing := func(v1.Work) {}
	in := v1.NewImage{Name: "talos:current", URL: mirror.URL + "/x.iso?mirror=2", SumsURL: mirror.URL + "/SHA256SUMS"}
	says(t, second(c.FetchImage(t.Context(), in, nothing)), 422, "the checksums do not name x.iso")
	sums = strings.Repeat("0", 64) + "  x.iso\n"
	says(t, second(c.FetchImage(t.Context(), in, nothing)), 422, "it is not what was promised, and was not kept")
	plain := v1.NewImage{Name: in.Name, URL: in.URL}
	i, err := c.FetchImage(t.Context(), plain, nothing)
	if err != nil {
		t.Fatal(err)
	}
	sums = i.Digest + "  x.iso\n"
	if again, err := c.FetchImage(t.Context(), in, nothing); err != nil || again.Digest != i.Digest {
		t.Errorf("with the right sum: %+v, %v", again, err)
	}

	shown, err := c.Image(t.Context(), "talos:current")
	if err != nil || shown.Family != "talos" || shown.Recipe == nil || shown.Recipe.Format != "talos" || len(shown.Recipe.Proven) != 0 {
		t.Errorf("shown %+v, %v", shown, err)
	}
	if len(shown.History) != 1 || shown.History[0].Digest != i.Digest {
		t.Errorf("history %+v", shown.History)
	}
	if damaged, err := c.ScrubImages(t.Context(), nothing); err != nil || len(damaged) > 0 {
		t.Errorf("damaged %+v, %v", damaged, err)
	}
	says(t, c.RemoveImage(t.Context(), i.Digest, false), 409, "it has other tags: talos:current")
	if err := c.RemoveImage(t.Context(), i.Digest, true); err != nil {
		t.Error(err)
	}
	says(t, c.RemoveImage(t.Context(), i.Digest, true), 404, "not in the catalog")
}

func TestWhatMayNotBeFetchedIsDenied(t *testing.T) {
	c := people(t)
	for _, url := range []string{"http://127.0.0.2/x.iso", "http://[::1]/x.iso", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/"} {
		in := v1.NewImage{Name: "x", URL: url}
		says(t, second(c.FetchImage(t.Context(), in, func(v1.Work) {})), 403, "muster does not fetch from there")
	}
}

func TestTheRamdiskThatHostsBootIsNotCollected(t *testing.T) {
	c := people(t)
	var digests []string
	for _, text := range []string{"old", "new"} {
		i, err := c.AddSet(t.Context(), "ramdisk", []client.Part{
			{Name: "kernel", Size: 3, Content: strings.NewReader(text)}, {Name: "initrd", Size: 1, Content: strings.NewReader("i")},
		})
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, i.Digest)
	}
	if err := c.Untag(t.Context(), "ramdisk"); err != nil {
		t.Fatal(err)
	}
	g, err := c.CollectImages(t.Context(), false)
	if err != nil || len(g.Images) != 1 || g.Images[0].Digest != digests[0] {
		t.Errorf("collected %+v, %v", g, err)
	}
	if i, err := c.Image(t.Context(), digests[1]); err != nil || i.Family != "scout" {
		t.Errorf("the newest is %+v, %v", i, err)
	}
}

func TestAnImageOfNoKnownFamilyIsInNoOrder(t *testing.T) {
	c := people(t)
	if _, err := c.AddSet(t.Context(), "strange", []client.Part{{Name: "x", Size: 1, Content: strings.NewReader("x")}}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Import(t.Context(), v1.Import{Order: "name: p\nprofile: edge-minimum\nimage: strange\nhandoff: {driver: callhome}\n", Manifest: "serial\nS1\n"})
	says(t, err, 422, `order line 3, column image: image "strange" cannot be installed: it is of no known family`)
}

func second(_ v1.Image, err error) error { return err }

// says wants a problem of this status that says this.
func says(t *testing.T, err error, status int, text string) {
	t.Helper()
	var p *v1.Problem
	if !errors.As(err, &p) || p.Status != status || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want status %d and %q", err, status, text)
	}
}
