package app

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (r *rig) viewer() *viewer {
	return &viewer{boots: r.boots, engine: r.engine, reads: r.reads, networks: testNetworks()}
}

const joinSecret = "s3cr3t \"of\" the order"

// withSecret is an order whose template says its secret.
func (r *rig) withSecret(t *testing.T) provisioner.Order {
	t.Helper()
	o := provisioner.Order{Name: "o1", Secrets: map[string]provisioner.Secret{"join": joinSecret},
		Template: "#cloud-config\njoins: {{quote .Secrets.join}}\nserial: {{quote .Host.Serial}}\n"}
	r.order(t, o)
	return o
}

// everything is a preview as one text.
func everything(t *testing.T, p v1.Preview) string {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAPreviewBeforeAnAttemptSaysWhatStandsIn(t *testing.T) {
	r := newRig(t)
	r.withSecret(t)
	h := expected("h-1", firstMAC, r.kairos(t))
	h.Intent.Row.Serial = "SER1"
	for _, way := range []provisioner.Way{"", provisioner.WayMedia} {
		h.Intent.Way = way
		p, err := r.viewer().Preview(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		text, notes := everything(t, p), strings.Join(p.Notes, "\n")
		for _, want := range []string{"No install attempt has begun", "disk-of-the-profile stands in", "The scout has not reported", "URLs are of " + line} {
			if !strings.Contains(notes, want) {
				t.Errorf("%q is not among the notes:\n%s", want, notes)
			}
		}
		for _, secret := range []string{joinSecret, wouldBeToken, "of\\\\\"", "s3cr3t"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is shown:\n%s", secret, text)
			}
		}
		if p.Attempt != "" || len(p.Documents) == 0 || !strings.Contains(p.Documents[0].Content, "SER1") || !strings.Contains(p.Documents[0].Content, "/dev/disk/by-id/disk-of-the-profile") {
			t.Errorf("it shows %+v", p)
		}
		if netboots := p.Way == "netboot"; netboots != (way == "") || netboots != (p.Kernel != "" && strings.Contains(p.Cmdline, "/********/config")) || netboots == (len(p.Medium) > 0) {
			t.Errorf("by %q: kernel %q, arguments %q, ISO %+v", p.Way, p.Kernel, p.Cmdline, p.Medium)
		}
	}
}

func TestAPreviewOfAnAttemptIsWhatTheHostGets(t *testing.T) {
	r := newRig(t)
	r.withSecret(t)
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	h.Intent.Row.Serial = "SER1"
	r.list(t, h)
	h = r.prepared(t, "h-1")
	r.order(t, provisioner.Order{Name: "o1", Template: "#cloud-config\nnote: another\n"})
	_, served := r.ask(t, "GET", strangerAddress, "/a/a-1/tokenofh1/config")
	p, err := r.viewer().Preview(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Documents[0].Content
	if len(p.Notes) > 0 || p.Attempt != "a-1" || strings.Count(got, "\n") != strings.Count(served, "\n") || !strings.Contains(got, `"joins": "********"`) {
		t.Errorf("notes %q, attempt %s; served and shown:\n%s\n%s", p.Notes, p.Attempt, served, got)
	}
	if text := everything(t, p); strings.Contains(text, "tokenofh1") || strings.Contains(text, "s3cr3t") {
		t.Errorf("a secret is shown:\n%s", text)
	}
}

func TestAHostWhoseAttemptIsOverIsShownItsNext(t *testing.T) {
	r := newRig(t)
	r.withSecret(t)
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	r.list(t, h)
	h = r.prepared(t, "h-1")
	for _, phase := range []provisioner.Phase{provisioner.Failed, provisioner.Registered} {
		edit := func(h *provisioner.Host) ([]provisioner.Entry, error) {
			h.Status.Phase, h.Status.Deadline = phase, time.Time{}
			return nil, nil
		}
		h, err := r.store.Change(t.Context(), h.ID, edit)
		if err := errors.Join(err, r.mirror.Sync(t.Context())); err != nil {
			t.Fatal(err)
		}
		p, err := r.viewer().Preview(t.Context(), h)
		if err != nil || p.Attempt != "" || len(p.Documents) == 0 || len(p.Notes) == 0 || strings.Contains(everything(t, p), "tokenofh1") {
			t.Errorf("%s: %v, %+v", phase, err, p)
		}
	}
}

func TestAPreviewOfADiskHasItsSeed(t *testing.T) {
	r := newRig(t)
	p, err := r.viewer().Preview(t.Context(), expected("h-1", firstMAC, r.rawDisk(t)))
	if err != nil || p.Way != "write" || p.Coding != "raw" || len(p.Seed) < 2 || p.Kernel != "" {
		t.Errorf("%v: %+v", err, p)
	}
	h := expected("h-1", firstMAC, r.rawDisk(t))
	h.Intent.Image = ""
	if _, err := r.viewer().Preview(t.Context(), h); provisioner.KindOf(err) != provisioner.Conflict {
		t.Errorf("without an image: %v", err)
	}
}

func TestAnOrderIsTriedBeforeItsHostsAreSeen(t *testing.T) {
	r := newRig(t)
	iso, disk := r.kairos(t), r.rawDisk(t)
	o := provisioner.Order{Name: "o1", Secrets: map[string]provisioner.Secret{"join": joinSecret}}
	for _, c := range []struct {
		name     string
		template string
		want     provisioner.Intent
		says     string
	}{
		{"nothing added", "", provisioner.Intent{Image: iso.Digest}, ""},
		{"a good template", "#cloud-config\nx: {{quote .Secrets.join}}\nd: {{quote .Disk.Path}}\nm: {{(index .NICs 0).MAC}}\n", provisioner.Intent{Image: iso.Digest}, ""},
		{"an unknown value", "#cloud-config\nx: {{.Secrets.nope}}\n", provisioner.Intent{Image: iso.Digest}, "template"},
		{"no header", "x: y\n", provisioner.Intent{Image: iso.Digest}, "template"},
		{"what muster decides", "#cloud-config\nhostname: x\n", provisioner.Intent{Image: iso.Digest}, "template"},
		{"a config that muster decides", "", provisioner.Intent{Image: iso.Digest}, "config"},
		{"a way that it cannot go", "", provisioner.Intent{Image: disk.Digest, Way: provisioner.WayNetboot}, "transport: image disk cannot reach the host by netboot"},
		{"a disk", "#cloud-config\nx: y\n", provisioner.Intent{Image: disk.Digest}, ""},
		{"media", "", provisioner.Intent{Image: iso.Digest, Way: provisioner.WayMedia}, ""},
	} {
		o.Template, o.Config = c.template, nil
		if c.says == "config" {
			o.Config = map[string]any{"hostname": "x"}
		}
		_, err := r.viewer().Try(o, c.want)
		if (err == nil) != (c.says == "") || err != nil && (!strings.HasPrefix(err.Error(), c.says) || strings.Contains(err.Error(), "s3cr3t")) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.says)
		}
	}
}

func TestTheURLOfAHostsISOIsToldWhileThereIsOne(t *testing.T) {
	r, h := withMedium(t, provisioner.WayMedia)
	v := r.viewer()
	m, err := v.Medium(t.Context(), h)
	if err != nil || m.URL != lineBase+mediumPath(h) || len(m.Readers) != 0 || !strings.Contains(m.Say, "Nobody has fetched a byte of it") {
		t.Errorf("%v: %+v", err, m)
	}
	_, body := r.ask(t, "GET", strangerAddress, mediumPath(h))
	m, err = v.Medium(t.Context(), h)
	if err != nil || len(m.Readers) != 1 || m.Readers[0].Address != strangerAddress || m.Readers[0].Bytes != int64(len(body)) || m.Size != int64(len(body)) {
		t.Errorf("%v: %+v after %d bytes", err, m, len(body))
	}
	discovered := expected("h-2", secondMAC, r.kairos(t))
	netbooted := h
	netbooted.Facts.Prepared = &provisioner.Prepared{Attempt: "a-1", Way: provisioner.WayNetboot}
	for says, h := range map[string]provisioner.Host{"has no ISO of its own: one is made when": discovered, "its image comes by netboot": netbooted} {
		if _, err := v.Medium(t.Context(), h); provisioner.KindOf(err) != provisioner.Conflict || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	over := func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Status.Phase = provisioner.Registered
		return nil, nil
	}
	h, err = r.store.Change(t.Context(), h.ID, over)
	if err := errors.Join(err, r.mirror.Sync(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Medium(t.Context(), h); provisioner.KindOf(err) != provisioner.Conflict || !strings.Contains(err.Error(), "is registered and its ISO is served no more") {
		t.Errorf("when it is registered: %v", err)
	}
}

func TestAHostWithABIOSIsNotSentToUEFI(t *testing.T) {
	r := newRig(t)
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	h.Intent.Way = provisioner.WayUEFIHTTP
	h.Facts.Report = &provisioner.Report{Report: inventory.Report{Firmware: inventory.Firmware{Mode: "bios"}}}
	if _, err := r.viewer().Preview(t.Context(), h); err == nil || !strings.Contains(err.Error(), "switch it to UEFI") {
		t.Errorf("got %v", err)
	}
}

// TestWhatNetbootLeavesBehindIsSaidUnlessTheOrderChose has an installer with a
// content bundle, for a host that nobody but a person could bring a medium.
func TestWhatNetbootLeavesBehindIsSaidUnlessTheOrderChose(t *testing.T) {
	r := newRig(t)
	bundled := r.iso(t, "COS_LIVE", map[string]string{
		"boot/kernel": "the kernel", "boot/initrd": "the initrd", "rootfs.squashfs": "the root file system",
		"boot/grub2/grub.cfg": "menuentry install {\n  linux /boot/kernel cdroot\n}\n", "opt/spectrocloud/content/bundle.zst_part00": "charts",
	})
	const left = "etboot leaves its content bundle (/opt/spectrocloud/content) of image "
	for _, c := range []struct {
		image images.Image
		way   provisioner.Way
		said  bool
	}{{bundled, "", true}, {bundled, provisioner.WayNetboot, false}, {bundled, provisioner.WayMedia, false}, {r.kairos(t), "", false}} {
		h := expected("h-1", firstMAC, c.image)
		h.Intent.Way = c.way
		caution, err := r.viewer().Try(provisioner.Order{Name: "o1"}, h.Intent)
		if err != nil || strings.Contains(caution, "n"+left) != c.said || caution != "" && !c.said {
			t.Errorf("by %q an order is told %q, %v", c.way, caution, err)
		}
		p, err := r.viewer().Preview(t.Context(), h)
		if notes := strings.Join(p.Notes, "\n"); err != nil || strings.Contains(notes, "N"+left) != c.said {
			t.Errorf("by %q a preview notes %q, %v", c.way, notes, err)
		}
	}
	h := expected("h-1", firstMAC, bundled)
	h.Intent.BMC = &provisioner.Controller{Address: "192.0.2.9"}
	h.Facts.Sighting = &provisioner.Sighting{Netboot: time.Now()}
	h.Facts.BMC = &provisioner.BMC{Abilities: provisioner.Abilities{Media: true}}
	rec, _ := r.catalog.Recipe(bundled)
	if way, because, err := r.boots.way(bundled, rec, h); way != provisioner.WayMedia || err != nil || !strings.Contains(because, "it leaves its content bundle") {
		t.Errorf("with a BMC it goes by %s, because %q, %v", way, because, err)
	}
}
