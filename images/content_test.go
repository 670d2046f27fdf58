package images

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

func read(t *testing.T, c *Catalog, digest, name string) string {
	t.Helper()
	content, err := c.Content(digest, name)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	data, err := io.ReadAll(content)
	if err != nil || int64(len(data)) != content.Size {
		t.Errorf("%s: %d bytes read, size %d, error %v", name, len(data), content.Size, err)
	}
	return string(data)
}

func TestFilesAreServedOutOfTheISO(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	for name, want := range kairos() {
		if name == "files-iso/config.yaml" {
			continue
		}
		if got := read(t, c, i.Digest, "/"+name); got != want {
			t.Errorf("%s holds %d bytes, want %d", name, len(got), len(want))
		}
	}
	if files := tree(t, dir); len(files) != 3 {
		t.Errorf("the catalog holds more than the ISO, its index and its record: %v", files)
	}
}

func TestOnlyWhatTheRecipeBootsFromIsServed(t *testing.T) {
	c := open(t, t.TempDir())
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	set := addScout(t, c, "scout", "k", "i")
	for _, name := range []string{"/files-iso/config.yaml", "/boot", "/", "", "boot/kernel", "/boot/../boot/kernel", "/boot/kernel/"} {
		if _, err := c.Content(i.Digest, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q of the ISO: %v, want not found", name, err)
		}
		if _, err := c.Content(set.Digest, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q of the set: %v, want not found", name, err)
		}
	}
	for _, digest := range []string{"", "palette", i.Digest[:12], "../" + i.Digest} {
		if _, err := c.Content(digest, "/boot/kernel"); !errors.Is(err, ErrNotFound) {
			t.Errorf("image %q: %v, want not found", digest, err)
		}
	}
}

func TestContentReadsAndSeeksWithinItsRun(t *testing.T) {
	c := open(t, t.TempDir())
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	content, err := c.Content(i.Digest, "/boot/initrd")
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if err := iotest.TestReader(content, []byte(kairos()["boot/initrd"])); err != nil {
		t.Error(err)
	}
	if at, err := content.Seek(-1, io.SeekStart); err == nil {
		t.Errorf("a seek before the beginning went to %d", at)
	}
	if at, err := content.Seek(0, io.SeekCurrent); at != 0 || err != nil {
		t.Errorf("after a refused seek the position is %d, %v", at, err)
	}
}

// counted counts what is read through the program rather than sent by the
// kernel.
type counted struct {
	*Content
	read int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Content.Read(b)
	c.read += n
	return n, err
}

func TestContentIsSentByTheKernelAndEndsWhereItEnds(t *testing.T) {
	c := open(t, t.TempDir())
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	want := kairos()["boot/kernel"] + kairos()["rootfs.squashfs"] + kairos()["boot/kernel"]
	var read atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		send := func(name string, to func(io.Writer, *counted)) {
			content, err := c.Content(i.Digest, name)
			if err != nil {
				t.Error(err)
				return
			}
			defer content.Close()
			count := &counted{Content: content}
			to(w, count)
			read.Add(int64(count.read))
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", fmt.Sprint(len(want)))
		send("/boot/kernel", func(w io.Writer, c *counted) { io.Copy(w, c.Content) })
		send("/rootfs.squashfs", func(w io.Writer, c *counted) { io.CopyN(w, c, c.Size) })
		send("/boot/kernel", func(w io.Writer, c *counted) { io.Copy(w, c.Content) })
	}))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil || string(got) != want {
		t.Errorf("got %d bytes, want %d, %v", len(got), len(want), err)
	}
	if n := read.Load(); n > 512 { // net/http looks at that many
		t.Errorf("%d bytes went through the program", n)
	}
}

func TestContentStaysReadableWhenTheImageIsRemoved(t *testing.T) {
	c := open(t, t.TempDir())
	i := addScout(t, c, "scout", "kernel", "initrd")
	content, err := c.Content(i.Digest, "/kernel")
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := c.Remove("scout", false, func(Image) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(content); string(got) != "kernel" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestContentServesRanges(t *testing.T) {
	c := open(t, t.TempDir())
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := c.Content(i.Digest, r.URL.Path)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer content.Close()
		http.ServeContent(w, r, "", content.ModTime, content)
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/boot/initrd", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Range", "bytes=7-13")
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusPartialContent || string(body) != "initrd " {
		t.Errorf("status %d, body %q, %v", response.StatusCode, body, err)
	}
}

func TestWholeIsTheISOItself(t *testing.T) {
	c := open(t, t.TempDir())
	image := makeISO(t, "COS_LIVE", kairos())
	i := add(t, c, image, "palette")
	content, err := c.Whole(i.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	h := sha256.New()
	if _, err := io.Copy(h, content); err != nil || fmt.Sprintf("%x", h.Sum(nil)) != i.Digest {
		t.Errorf("whole image reads otherwise: %v", err)
	}
	info, err := os.Stat(image)
	if err != nil || info.Size() != content.Size {
		t.Errorf("size is %d, want %d, %v", content.Size, info.Size(), err)
	}
	set := addScout(t, c, "scout", "k", "i")
	if _, err := c.Whole(set.Digest); err == nil || !strings.Contains(err.Error(), "not one medium") {
		t.Errorf("the whole of a set: %v", err)
	}
}
