package api_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func TestAnImageStaysWhileAnOrderNamesIt(t *testing.T) {
	s := newSite(t)
	content := strings.Repeat("iso", 100_000)
	added, err := s.AddImage(t.Context(), "demo 1", int64(len(content)), strings.NewReader(content))
	if err != nil || added.Family != "kairos" || added.Orders == nil || added.Why == nil || added.Lacks == nil {
		t.Fatalf("added %+v, %v", added, err)
	}
	const named = "name: p\nprofile: edge-minimum\nimage: demo 1\nhandoff: {driver: callhome}\n"
	if _, err := s.Import(t.Context(), v1.Import{Order: named, Manifest: "serial\nS1\n"}); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Host(t.Context(), "S1"); err != nil || h.Image != added.Digest {
		t.Errorf("image %s, %v", h.Image, err)
	}
	if shown, err := s.Image(t.Context(), added.Digest[:20]); err != nil || !cmp.Equal(shown.Orders, []string{"p"}) {
		t.Errorf("shown %+v, %v", shown, err)
	}
	refused(t, s.RemoveImage(t.Context(), "demo 1"), 409, "named by p")
	const verifyOnly = "name: p\nprofile: edge-minimum\n"
	if _, err := s.Import(t.Context(), v1.Import{Order: verifyOnly, Manifest: "serial\nS1\n"}); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveImage(t.Context(), "demo 1"); err != nil {
		t.Fatal(err)
	}
	refused(t, s.RemoveImage(t.Context(), "demo 1"), 404, "no image")
}

func TestAnUploadWithoutANameIsRefusedBeforeItsContent(t *testing.T) {
	s := newSite(t)
	unread := &counter{}
	_, err := s.AddImage(t.Context(), "", 1<<40, unread)
	refused(t, err, 422, "give the image a name")
	if unread.n > 1<<20 {
		t.Errorf("%d bytes were sent", unread.n)
	}
}

// counter is an endless content that counts what was read of it.
type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

func TestARamdiskComesWholeWithItsVersion(t *testing.T) {
	s := newSite(t)
	kernel, initrd := bytes.Repeat([]byte("k"), 3<<20), []byte("initrd")
	i, err := s.AddRamdisk(t.Context(), client.Ramdisk{
		Name: "ramdisk", Version: map[string]string{"kernel": "6.1"},
		Kernel: bytes.NewReader(kernel), KernelSize: int64(len(kernel)),
		Initrd: bytes.NewReader(initrd), InitrdSize: int64(len(initrd)),
	})
	if err != nil || i.Family != "scout" || i.Version["kernel"] != "6.1" {
		t.Fatalf("image %+v, %v", i, err)
	}
	if s.Shelf.File("kernel") != string(kernel) || s.Shelf.File("initrd") != "initrd" {
		t.Error("the files are not those that were sent")
	}
}
