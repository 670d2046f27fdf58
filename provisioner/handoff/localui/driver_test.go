package localui_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/localui"
)

func TestOptionsThatCannotWorkAreNamedByTheirKey(t *testing.T) {
	d := localui.New(localui.Options{})
	good := map[string]any{"password": "ui", "content": map[string]any{"file": "a.tar.zst", "signature": "a.sig"}, "definition": map[string]any{"file": "spc.tgz"}}
	if err := d.Options(good); err != nil {
		t.Errorf("good options: %v", err)
	}
	for _, tc := range []struct {
		key   string
		value any
		want  string
	}{
		{"password", "", "handoff.password: name the order's secret"},
		{"user", "Root user", "handoff.user: "},
		{"port", 70000, "handoff.port: 70000 is no TCP port"},
		{"content", map[string]any{"file": "../etc/shadow"}, "handoff.content.file: \"../etc/shadow\" is no file name"},
		{"content", map[string]any{"file": "a.zip"}, "handoff.content.file: a.zip is no content bundle"},
		{"definition", map[string]any{"file": "a.tar.zst"}, "handoff.definition.file: a.tar.zst is no cluster definition"},
		{"definition", map[string]any{"signature": "a.sig"}, "handoff: a signature without its file"},
		{"other_keys", "all", `handoff.other_keys: "all" is neither`},
		{"pasword", "ui", "handoff.pasword: there is no such option"},
	} {
		options := map[string]any{"password": "ui", tc.key: tc.value}
		if err := d.Options(options); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v: %v, want %s", tc.key, tc.value, err, tc.want)
		}
	}
}

func TestAHostIsGivenItsModeItsIDAndAUser(t *testing.T) {
	d := localui.New(localui.Options{})
	b := handoff.Batch{
		Order: "o1", Options: map[string]any{"password": "ui", "user": "ops", "link": map[string]any{"leader": "rack4-u11"}},
		Secrets: map[string]provisioner.Secret{"ui": password},
	}
	h := host(1, "Rack4_U12")
	got, err := d.Prepare(t.Context(), b, h, "http://192.0.2.1/a/a-1/tok3n")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Hidden) != 1 {
		t.Fatalf("%d texts are hidden", len(got.Hidden))
	}
	hash := got.Hidden[0].Reveal()
	want := map[string]any{
		"stylus": map[string]any{
			"managementMode": "local", "disableTui": true, "enableMultiNode": true, "localUI": map[string]any{"port": 5080},
			"site": map[string]any{"name": "rack4-u12"},
		},
		"stages": map[string]any{"initramfs": []any{map[string]any{
			"name": "the user of the local API", "users": map[string]any{"ops": map[string]any{"groups": []any{"sudo"}, "passwd": hash}},
		}}},
	}
	if diff := cmp.Diff(want, got.Values); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	salt := strings.Split(hash, "$")[2]
	openssl, err := exec.CommandContext(t.Context(), "openssl", "passwd", "-6", "-salt", salt, password).Output()
	if err != nil || strings.TrimSpace(string(openssl)) != hash {
		t.Errorf("openssl hashes the password to %s, %v; the host is given %s", openssl, err, hash)
	}
	again, err := d.Prepare(t.Context(), b, h, "")
	if err != nil || again.Hidden[0].Reveal() != hash {
		t.Errorf("asked again for the same attempt the hash is another: %v", err)
	}
	h.Status.Attempt.ID = "a-2"
	if next, err := d.Prepare(t.Context(), b, h, ""); err != nil || next.Hidden[0].Reveal() == hash {
		t.Errorf("another attempt has the same salt: %v", err)
	}
}

func TestWhatAHostCannotBeGivenIsRefusedBeforeItBoots(t *testing.T) {
	d := localui.New(localui.Options{})
	for _, tc := range []struct {
		name    string
		options map[string]any
		ship    bool
		config  map[string]any
		family  string
		want    string
	}{
		{"a password that the order does not have", map[string]any{"password": "other"}, false, nil, "kairos", `handoff.password names the secret "other"`},
		{"content for a host that ships", map[string]any{"password": "ui", "content": map[string]any{"file": "a.tar.zst"}},
			true, nil, "kairos", "handoff: a host that ships is switched off before"},
		{"a link of hosts that ship", map[string]any{"password": "ui", "link": map[string]any{"leader": "a"}},
			true, nil, "kairos", "handoff: a host that ships is switched off before"},
		{"a key that is none", map[string]any{"password": "ui"},
			false, map[string]any{"stylus": map[string]any{"debugg": true}}, "kairos", "config: stylus.debugg is no key"},
		{"nothing wrong", map[string]any{"password": "ui"}, true, nil, "kairos", ""},
		{"an image for Trusted Boot", map[string]any{"password": "ui"}, false, nil, "kairos-uki", "handoff.driver: image edge is for Trusted Boot"},
	} {
		h := host(1, "rack4-u12")
		h.Intent.Ship, h.Intent.Image = tc.ship, "d1"
		_, err := d.Prepare(t.Context(), handoff.Batch{
			Options: tc.options, Config: tc.config, Secrets: map[string]provisioner.Secret{"ui": password}, Preview: true,
			Images: map[string]handoff.Image{"d1": {Name: "edge", Family: tc.family}},
		}, h, "")
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
}

func TestIDsAreOfLettersThatPaletteTakes(t *testing.T) {
	d := localui.New(localui.Options{})
	for _, tc := range []struct {
		name string
		edit func(*provisioner.Host)
		want string
	}{
		{"its name", func(h *provisioner.Host) { h.Intent.Row = provisioner.Row{Name: "Edge.1", Serial: "X"} }, "edge-1"},
		{"its serial", func(h *provisioner.Host) { h.Intent.Row = provisioner.Row{Serial: "CZ/12 34"} }, "cz-12-34"},
		{"the serial that the scout saw", func(h *provisioner.Host) {
			h.Intent.Row = provisioner.Row{}
			h.Facts.Report.Report.System = inventory.System{Serial: "SN0001"}
		}, "sn0001"},
		{"nothing but muster's own", func(h *provisioner.Host) { h.Intent.Row = provisioner.Row{} }, "h-1"},
		{"far too long", func(h *provisioner.Host) { h.Intent.Row.Name = strings.Repeat("a", 300) }, strings.Repeat("a", 128)},
	} {
		h := host(1, "")
		tc.edit(&h)
		b := handoff.Batch{Options: map[string]any{"password": "ui"}, Secrets: map[string]provisioner.Secret{"ui": password}}
		got, err := d.Prepare(t.Context(), b, h, "")
		if err != nil {
			t.Fatal(err)
		}
		if id := got.Values["stylus"].(map[string]any)["site"].(map[string]any)["name"]; id != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, id, tc.want)
		}
	}
}

func TestCheckSaysWhatIsMissingBeforeAnyHostBoots(t *testing.T) {
	s := newSite(t, map[string]any{"password": "ui", "content": map[string]any{"file": "site.tar.zst"}, "link": map[string]any{"leader": "rack4-u11"}})
	s.batch.Hosts = []provisioner.Host{host(1, "rack4-u12"), host(2, "rack4-u13"), host(3, "Rack4-U13")}
	delete(s.batch.Secrets, "ui")
	got := s.driver.Check(t.Context(), s.batch)
	for _, want := range []string{
		`names the secret "ui", which the order does not have`, "there is no site.tar.zst in", "handoff.link.leader is rack4-u11, and no row",
		"row 2 and row 3 would have the same ID, rack4-u13",
	} {
		if !strings.Contains(strings.Join(got.Wrong, "\n"), want) {
			t.Errorf("nothing says %q: %q", want, got.Wrong)
		}
	}
	s.bundle("site.tar.zst", 3_000_000)
	s.batch.Secrets["ui"] = password
	s.batch.Hosts = []provisioner.Host{host(1, "rack4-u11"), host(2, "rack4-u12")}
	got = s.driver.Check(t.Context(), s.batch)
	if len(got.Wrong) != 0 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "site.tar.zst with 3.0 MB will be uploaded, 4 hosts at a time") {
		t.Errorf("got %+v", got)
	}
}

// TestAnImageWithAnotherAgentIsSaidBeforeItIsInstalled: its hosts would never be
// what their order wants.
func TestAnImageWithAnotherAgentIsSaidBeforeItIsInstalled(t *testing.T) {
	d := localui.New(localui.Options{})
	for have, wrong := range map[string]bool{"4.9.6": true, "4.9.7": false, "v4.9.7": false, "": false} {
		got := d.Check(t.Context(), handoff.Batch{
			Options: map[string]any{"password": "ui", "agent_version": "4.9.7"}, Secrets: map[string]provisioner.Secret{"ui": password},
			Images: map[string]handoff.Image{"d1": {Name: "edge", Version: map[string]string{"agent": have}}},
		})
		if said := strings.Join(got.Wrong, " "); (said != "") != wrong || wrong && !strings.Contains(said, "Image edge has agent 4.9.6, and handoff.agent_version wants 4.9.7") {
			t.Errorf("agent %q: %q", have, said)
		}
	}
}

func TestWithoutADirectoryNoBundleIsGiven(t *testing.T) {
	d := localui.New(localui.Options{})
	got := d.Check(t.Context(), handoff.Batch{
		Options: map[string]any{"password": "ui", "content": map[string]any{"file": "site.tar.zst"}}, Secrets: map[string]provisioner.Secret{"ui": password},
	})
	if len(got.Wrong) != 1 || !strings.Contains(got.Wrong[0], "handoff: {localui: {bundles:") {
		t.Errorf("got %q", got.Wrong)
	}
}
