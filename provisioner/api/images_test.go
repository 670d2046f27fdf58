package api_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func TestAnImageStaysWhileAnOrderNamesIt(t *testing.T) {
	s := newSite(t)
	content := strings.Repeat("iso", 100_000)
	added, err := s.AddImage(t.Context(), v1.NewImage{Name: "demo 1"}, int64(len(content)), strings.NewReader(content))
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
	refused(t, s.RemoveImage(t.Context(), "demo 1", false), 409, "named by p")
	const verifyOnly = "name: p\nprofile: edge-minimum\n"
	if _, err := s.Import(t.Context(), v1.Import{Order: verifyOnly, Manifest: "serial\nS1\n"}); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveImage(t.Context(), "demo 1", false); err != nil {
		t.Fatal(err)
	}
	refused(t, s.RemoveImage(t.Context(), "demo 1", false), 404, "no image")
}

func TestAnUploadWithoutANameIsRefusedBeforeItsContent(t *testing.T) {
	s := newSite(t)
	unread := &counter{}
	_, err := s.AddImage(t.Context(), v1.NewImage{}, 1<<40, unread)
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

func TestAFetchTellsHowFarItIs(t *testing.T) {
	s := newSite(t)
	s.Shelf.Web = map[string]string{"https://mirror/x.iso": strings.Repeat("iso", 100)}
	var steps []v1.Work
	i, err := s.FetchImage(t.Context(), v1.NewImage{Name: "x", URL: "https://mirror/x.iso"}, func(w v1.Work) { steps = append(steps, w) })
	if err != nil || i.Name != "x" || i.Size != 300 || i.Orders == nil {
		t.Errorf("got %+v, %v", i, err)
	}
	if diff := cmp.Diff([]v1.Work{{Done: 150, Total: 300}}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		in   v1.NewImage
		says string
	}{
		{v1.NewImage{Name: "x", URL: "https://mirror/none.iso"}, "answers 404"},
		{v1.NewImage{Name: "x"}, "say where the image is"},
		{v1.NewImage{URL: "https://mirror/x.iso"}, "give the image a name"},
	} {
		_, err := s.FetchImage(t.Context(), tt.in, func(v1.Work) {})
		refused(t, err, 422, tt.says)
	}
}

func TestAFetchThatTheServerLeavesIsNotDone(t *testing.T) {
	s := newSite(t)
	s.Shelf.Web = map[string]string{"https://mirror/x.iso": "iso"}
	s.Shelf.Hold = func(ctx context.Context) error {
		s.Halt()
		<-ctx.Done()
		return ctx.Err()
	}
	_, err := s.FetchImage(t.Context(), v1.NewImage{Name: "x", URL: "https://mirror/x.iso"}, func(v1.Work) {})
	var away *client.Unreachable
	if !errors.As(err, &away) {
		t.Errorf("got %v", err)
	}
}

func TestTagsMoveAndKeepAnImage(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"one", "two"} {
		if _, err := s.AddImage(t.Context(), v1.NewImage{Name: name}, 3, strings.NewReader(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ref := range []string{"one", "two"} {
		if i, err := s.Tag(t.Context(), ref, "ubuntu:current"); err != nil || !cmp.Equal(i.Tags, []string{ref, "ubuntu:current"}) {
			t.Errorf("tagged %+v, %v", i, err)
		}
	}
	refused(t, s.RemoveImage(t.Context(), "two", false), 409, "other tags")
	if err := s.Untag(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	refused(t, s.Untag(t.Context(), "one"), 404, "no tag")
	for _, dry := range []bool{true, false} {
		if g, err := s.CollectImages(t.Context(), dry); err != nil || len(g.Images) != 1 || g.Freed != 3 {
			t.Errorf("dry %t: %+v, %v", dry, g, err)
		}
	}
	if err := s.RemoveImage(t.Context(), "two", true); err != nil {
		t.Error(err)
	}
	if left, err := s.Images(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left are %+v, %v", left, err)
	}
}

func TestAScrubNamesDamage(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"good", "bad"} {
		if _, err := s.AddImage(t.Context(), v1.NewImage{Name: name}, -1, strings.NewReader(name)); err != nil {
			t.Fatal(err)
		}
	}
	s.Shelf.Damaged = []string{"bad"}
	damaged, err := s.ScrubImages(t.Context(), func(v1.Work) {})
	if err != nil || len(damaged) != 1 || damaged[0].Name != "bad" || len(damaged[0].Damage) != 1 {
		t.Errorf("damaged are %+v, %v", damaged, err)
	}
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

func TestARamdiskComesAsAnISOToo(t *testing.T) {
	s := newSite(t)
	i, err := s.AddRamdisk(t.Context(), client.Ramdisk{
		Name: "ramdisk", Version: map[string]string{"kernel": "6.1"}, ISO: strings.NewReader("an ISO"), ISOSize: 6,
	})
	if err != nil || i.Form != "iso" || i.Name != "ramdisk" || i.Version["kernel"] != "6.1" || i.Size != 6 {
		t.Errorf("image %+v, %v", i, err)
	}
}

func TestASetHasEachOfItsFilesOnce(t *testing.T) {
	s := newSite(t)
	part := func(name, text string) client.Part {
		return client.Part{Name: name, Size: int64(len(text)), Content: strings.NewReader(text)}
	}
	i, err := s.AddSet(t.Context(), "debian", []client.Part{part("linux", "the kernel"), part("initrd.gz", "the initrd")})
	if err != nil || i.Form != "set" || i.Name != "debian" {
		t.Errorf("got %+v, %v", i, err)
	}
	if s.Shelf.File("linux") != "the kernel" || s.Shelf.File("initrd.gz") != "the initrd" {
		t.Error("the files are not those that were sent")
	}
	_, err = s.AddSet(t.Context(), "debian", []client.Part{part("linux", "a"), part("linux", "b")})
	refused(t, err, 422, "one file linux; 2 came")
}

func TestAnImageThatAHostBootsFromStays(t *testing.T) {
	s := newSite(t)
	i, err := s.AddImage(t.Context(), v1.NewImage{Name: "scout"}, -1, strings.NewReader("an ISO"))
	if err != nil {
		t.Fatal(err)
	}
	h := provisioner.Host{ID: "h-1", Status: provisioner.Status{
		Phase: provisioner.Verifying, Why: "x", Attempt: provisioner.Attempt{ID: "a-1", Phase: provisioner.Verifying},
	}}
	h.Facts.Prepared = &provisioner.Prepared{Attempt: "a-1", Way: provisioner.WayMedia, Image: i.Digest}
	s.put(h)
	refused(t, s.RemoveImage(t.Context(), "scout", false), 409, "host h-1 boots from it in attempt a-1")
	s.edit("h-1", func(h *provisioner.Host) { h.Status.Phase = provisioner.Ready })
	if err := s.RemoveImage(t.Context(), "scout", false); err != nil {
		t.Error(err)
	}
}
