package app

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

func TestAHostOfWhichNoNetworkIsKnownIsGivenNoURLs(t *testing.T) {
	r := newRig(t)
	image := r.kairos(t)
	for name, c := range map[string]struct {
		sighting *provisioner.Sighting
		says     string
	}{
		"never seen":               {nil, "boot it from the network"},
		"its network is no longer": {&provisioner.Sighting{Network: "gone0"}, "add that network to the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			h := installing("h-1", firstMAC, "a-1", image)
			h.Facts.Sighting = c.sighting
			_, netbootErr := r.boots.Netboot(t.Context(), h, provisioner.Rendering{})
			_, writeErr := r.boots.Write(t.Context(), h, provisioner.Rendering{})
			rendered, renderErr := r.boots.Render(t.Context(), h, handoff.Carry{})
			for what, err := range map[string]error{"netboot": netbootErr, "write": writeErr, "rendering": renderErr} {
				if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v, want an operator's fault with %q", what, err, c.says)
				}
			}
			if len(rendered.Documents) > 0 {
				t.Errorf("rendered all the same: %+v", rendered)
			}
		})
	}
}

func TestTheConfigurationCallsTheNetworkWhereTheHostWasSeen(t *testing.T) {
	r := newRig(t)
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	rendered, err := r.boots.Render(t.Context(), h, handoff.Carry{})
	if err != nil {
		t.Fatal(err)
	}
	config, _ := rendered.Document("config")
	for _, call := range []string{"/step/writing", "/step/written", "/booted"} {
		if want := lineBase + "/a/a-1/tokenofh1" + call; !strings.Contains(string(config.Content), want) {
			t.Errorf("%s is not in the configuration:\n%s", want, config.Content)
		}
	}
	n, err := r.boots.Netboot(t.Context(), h, rendered)
	if want := "config_url=" + lineBase + "/a/a-1/tokenofh1/config"; err != nil || !strings.Contains(n.Cmdline, want) {
		t.Errorf("the kernel is told %q, want %q: %v", n.Cmdline, want, err)
	}
}

// rawDisk is the smallest disk image that the catalog takes.
func (r *rig) rawDisk(t *testing.T) images.Image {
	t.Helper()
	disk := make([]byte, 1<<20)
	copy(disk[510:], "\x55\xaa")
	i, err := r.catalog.Add(t.Context(), bytes.NewReader(disk), images.AddOptions{Name: "disk"})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAnImageGoesByTheWayOfItsOrderOrItsOwn(t *testing.T) {
	r := newRig(t)
	iso, disk, strange := r.kairos(t), r.rawDisk(t), r.set(t, "strange", "/something")
	for _, c := range []struct {
		name     string
		image    images.Image
		want     provisioner.Way
		firmware string
		is       provisioner.Way
		says     string
	}{
		{"an ISO by itself", iso, "", "bios", provisioner.WayNetboot, ""},
		{"an ISO as media", iso, provisioner.WayMedia, "bios", provisioner.WayMedia, ""},
		{"an ISO by UEFI", iso, provisioner.WayUEFIHTTP, "uefi", provisioner.WayUEFIHTTP, ""},
		{"an ISO by UEFI, of a host that nobody looked at", iso, provisioner.WayUEFIHTTP, "", provisioner.WayUEFIHTTP, ""},
		{"an ISO by UEFI, of a host with a BIOS", iso, provisioner.WayUEFIHTTP, "bios", "", "cannot reach the host by uefi-http: its firmware is a BIOS"},
		{"an ISO to be written", iso, provisioner.WayWrite, "uefi", "", "transport: image " + iso.Digest[:12] + " cannot reach the host by write"},
		{"a disk", disk, "", "bios", provisioner.WayWrite, ""},
		{"a disk in a drive", disk, provisioner.WayMedia, "bios", "", "is no ISO"},
		{"something unknown", strange, "", "bios", "", "of no family that muster knows"},
		{"an image that is gone", images.Image{Digest: strings.Repeat("0", 64)}, "", "bios", "", "the image of order o1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := installing("h-1", firstMAC, "a-1", c.image)
			r.order(t, provisioner.Order{Name: "o1", Image: c.image.Digest})
			h.Intent.Way = c.want
			h.Facts.Report = &provisioner.Report{Report: inventory.Report{Firmware: inventory.Firmware{Mode: c.firmware}}}
			got, err := r.boots.Render(t.Context(), h, handoff.Carry{})
			if c.says != "" {
				if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want an operator's fault with %q", err, c.says)
				}
				return
			}
			onMedium := c.is == provisioner.WayMedia || c.is == provisioner.WayUEFIHTTP
			if err != nil || got.Way != c.is || len(got.Documents) == 0 || (len(got.Medium) > 0) != onMedium || (len(got.Seed) > 0) != (c.is == provisioner.WayWrite) {
				t.Errorf("%v: %+v", err, got)
			}
		})
	}
}

func TestTheScoutIsToldWhatToWriteAndWhere(t *testing.T) {
	r := newRig(t)
	image := r.rawDisk(t)
	h := installing("h-1", firstMAC, "a-1", image)
	h.Facts.Report = &provisioner.Report{Report: inventory.Report{Disks: []inventory.Disk{
		{ByID: []string{"nvme-other"}, Serial: "S0"}, {ByID: []string{"wwn-1", "nvme-1"}, Serial: "S1"}}}}
	rendered, err := r.boots.Render(t.Context(), h, handoff.Carry{})
	if err != nil {
		t.Fatal(err)
	}
	rendered.Image = image.Digest
	got, err := r.boots.Write(t.Context(), h, rendered)
	seed := got.Seed
	got.Seed = nil
	want := inventory.Write{URL: lineBase + "/image/a-1/" + image.Digest + "/disk", Coding: "raw", Digest: image.Digest, Size: 1 << 20, Disk: "nvme-1", Serial: "S1"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	names := map[string]bool{}
	for _, f := range seed {
		names[f.Name] = strings.Contains(f.Content, "a-1") || f.Name == "vendor-data"
	}
	if diff := cmp.Diff(map[string]bool{"user-data": true, "meta-data": true, "vendor-data": true}, names); diff != "" {
		t.Errorf("seed, and whether it is of the attempt (-want +got):\n%s", diff)
	}
}

func TestATemplateSeesTheHostAndItsSecretsStayHidden(t *testing.T) {
	r := newRig(t)
	r.boots.site.Name, r.boots.site.Values = "plant7", map[string]string{"mirror": "deb.example.org"}
	secret := "s3cr3t-of-the-order"
	r.order(t, provisioner.Order{Name: "o1", Secrets: map[string]provisioner.Secret{"join": provisioner.Secret(secret)}, Template: "#cloud-config\n" +
		"notes: [{{quote .Site.Name}}, {{quote .Site.Values.mirror}}, {{quote .Host.Serial}}, {{quote .Disk.Model}}, {{quote (index .NICs 0).MAC}}, {{quote .Secrets.join}}]\n"})
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	h.Facts.Report = &provisioner.Report{Report: inventory.Report{
		System: inventory.System{Serial: "SER1"},
		Disks:  []inventory.Disk{{ByID: []string{"nvme-1"}, Model: "Fast 1"}}, NICs: []inventory.NIC{{Name: "eth0", MAC: firstMAC, Booted: true}},
	}}
	rendered, err := r.boots.Render(t.Context(), h, handoff.Carry{})
	if err != nil {
		t.Fatal(err)
	}
	config, _ := rendered.Document("config")
	for _, want := range []string{"plant7", "deb.example.org", "SER1", "Fast 1", firstMAC, secret} {
		if !strings.Contains(string(config.Content), want) {
			t.Errorf("%s is not in it:\n%s", want, config.Content)
		}
	}
	for name, template := range map[string]string{
		"an unknown value": "#cloud-config\nx: {{quote .Secrets.nobody}}\n",
		"broken YAML":      "#cloud-config\nx: [{{.Secrets.join}}\n",
		"no header":        "x: {{quote .Secrets.join}}\n",
	} {
		r.order(t, provisioner.Order{Name: "o1", Secrets: map[string]provisioner.Secret{"join": provisioner.Secret(secret)}, Template: template})
		_, err := r.boots.Render(t.Context(), h, handoff.Carry{})
		if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), "template") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTwoImportsOfAnOrderAreNotMixed(t *testing.T) {
	r := newRig(t)
	r.boots.orders = r.store
	iso, disk := r.kairos(t), r.rawDisk(t)
	h := installing("h-1", firstMAC, "a-1", iso)
	h.Intent.Row.Line = 2
	for name, c := range map[string]struct {
		order provisioner.Order
		says  string
	}{
		"the order's image":            {provisioner.Order{Name: "o1", Image: iso.Digest}, ""},
		"the image of a row":           {provisioner.Order{Name: "o1", Image: disk.Digest, RowImages: []string{iso.Digest}}, ""},
		"the order has another by now": {provisioner.Order{Name: "o1", Image: disk.Digest}, "muster host hold h-1, import the order again"},
		"the order has none by now":    {provisioner.Order{Name: "o1"}, "muster host hold h-1, import the order again"},
		"the order does not open":      {provisioner.Order{Name: "o1", Image: iso.Digest, Sealed: []byte("with another key")}, "do not open with the key in the data directory"},
	} {
		r.order(t, c.order)
		_, err := r.boots.Render(t.Context(), h, handoff.Carry{})
		if (err == nil) != (c.says == "") || err != nil && (provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	r.order(t, provisioner.Order{Name: "o1", Image: disk.Digest})
	p, err := r.viewer().Preview(t.Context(), expected("h-1", firstMAC, iso)) // in no row, as one that was approved
	notes := strings.Join(p.Notes, " ")
	if err != nil || !strings.Contains(notes, "Its attempt will wait: order o1 names another image") || !strings.Contains(notes, "muster host rm --force h-1") {
		t.Errorf("%v: the preview notes %q", err, p.Notes)
	}
}

func TestWhatIsTooLargeForAHostIsRefused(t *testing.T) {
	r := newRig(t)
	r.order(t, provisioner.Order{Name: "o1", Config: map[string]any{"write_files": strings.Repeat("x", maxDocument)}})
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	_, err := r.boots.Render(t.Context(), h, handoff.Carry{})
	if err == nil || !strings.Contains(err.Error(), "more than 512") {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorIsToldWithoutItsSecrets(t *testing.T) {
	inner := errors.New(`line 1: "hunter22" and token abc of ab`)
	err := discreet(inner, "hunter22", "", "ab", "other")
	if got := err.Error(); got != `line 1: "********" and token abc of ab` || !errors.Is(err, inner) {
		t.Errorf("it says %s", got)
	}
	for text, want := range map[string]string{
		`pass and password1`:   "******** and ********",
		`x: "a \"b\" c" of it`: `x: "********" of it`,
	} {
		if got := hide(text, []string{"pass", "password1", `a "b" c`}); got != want {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

func TestADocumentIsServedForTheLifeOfItsAttempt(t *testing.T) {
	r := newRig(t)
	r.order(t, provisioner.Order{Name: "o1", Template: "#cloud-config\nnote: first\n"})
	r.list(t, installing("h-1", firstMAC, "a-1", r.kairos(t)))
	r.prepared(t, "h-1")
	const config = "/a/a-1/tokenofh1/config"
	status, first := r.ask(t, "GET", strangerAddress, config)
	if status != 200 || !strings.Contains(first, "first") {
		t.Fatalf("%d: %s", status, first)
	}
	r.order(t, provisioner.Order{Name: "o1", Template: "#cloud-config\nnote: second\n"})
	if _, again := r.ask(t, "GET", strangerAddress, config); again != first {
		t.Errorf("it changed:\n%s\n%s", first, again)
	}
	steps := map[string]bool{}
	for _, s := range r.host(t, "h-1").Facts.Steps {
		steps[s.Stage] = true
	}
	if !slices.Contains(slices.Collect(maps.Keys(steps)), provisioner.StageConfig) {
		t.Errorf("steps %v", steps)
	}
}

func TestATraitBarsAWay(t *testing.T) {
	r := newRig(t)
	image := r.kairos(t)
	whole, err := r.catalog.Whole(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if _, err := r.catalog.Add(t.Context(), whole, images.AddOptions{Traits: []string{"shiny"}}); err == nil || !strings.Contains(err.Error(), `has no trait "shiny"; it can have: fips, content`) {
		t.Errorf("an unknown trait: %v", err)
	}
	if _, err := whole.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.catalog.Add(t.Context(), whole, images.AddOptions{Traits: []string{"fips"}}); err != nil {
		t.Fatal(err)
	}
	h := installing("h-1", firstMAC, "a-1", image)
	if got, err := r.boots.Render(t.Context(), h, handoff.Carry{}); err != nil || got.Way != provisioner.WayMedia {
		t.Errorf("it goes by %q: %v", got.Way, err)
	}
	shown, err := catalog{r.catalog}.Get(t.Context(), image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]bool{}
	for _, w := range shown.Recipe.Ways {
		ways[w.Transport] = w.WhyNot == ""
	}
	if diff := cmp.Diff(map[string]bool{"netboot": false, "media": true, "uefi-http": true, "write": false}, ways); diff != "" {
		t.Errorf("ways that are shown (-want +got):\n%s", diff)
	}
}
