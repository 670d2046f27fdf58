package localui_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/localui"
)

var update = flag.Bool("update", false, "rewrite the files of testdata")

// TestEachModeIsGivenThisUserData keeps all of what a host reads, through the
// recipe of its image: the order's own stage stays beside the user's.
func TestEachModeIsGivenThisUserData(t *testing.T) {
	own := map[string]any{
		"stylus": map[string]any{"featureGate": "UserDataForm", "site": map[string]any{"ntpServers": []any{"10.1.0.3"}}},
		"stages": map[string]any{"initramfs": []any{map[string]any{"name": "of the order", "commands": []any{"true"}}}},
	}
	for name, m := range map[string]struct {
		after           string
		options, config map[string]any
	}{
		"local":  {after: "reboot", options: map[string]any{"password": "ui"}},
		"linked": {after: "poweroff", options: map[string]any{"password": "ui", "user": "ops", "port": 5090, "link": map[string]any{"leader": "rack4-u12"}}, config: own},
	} {
		t.Run(name, func(t *testing.T) {
			b := handoff.Batch{Order: "o1", Options: m.options, Config: m.config, Secrets: map[string]provisioner.Secret{"ui": password}, Preview: true}
			h := host(1, "rack4-u12")
			carry, err := localui.New(localui.Options{}).Prepare(t.Context(), b, h, "")
			if err != nil {
				t.Fatal(err)
			}
			got := rendered(t, recipe.Values{
				Host: recipe.Identity{ID: string(h.ID), Name: "rack4-u12", Serial: "SN1"}, Attempt: "a-1", After: m.after, Handoff: carry.Values,
				Version: map[string]string{"kairos": "4.0.3"},
			}, m.config)
			path := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// rendered is the document that a host reads.
func rendered(t *testing.T, v recipe.Values, config map[string]any) []byte {
	t.Helper()
	f, ok := recipe.Builtin().Find("kairos")
	if !ok {
		t.Fatal("no family kairos")
	}
	const base = "http://10.1.0.5:8067/a/tok"
	v.Disk = recipe.Target{ByID: "nvme-QEMU_NVMe_Ctrl_S1", Kernel: "nvme0n1", Serial: "S1"}
	v.URL = recipe.URLs{Config: base + "/config", Writing: base + "/writing", Written: base + "/written", Booted: base + "/booted", PhoneHome: base + "/phone-home", Register: base + "/register"}
	out, err := f.Render(v, recipe.Source{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range out.Documents {
		if d.Name == recipe.MainDocument {
			return d.Content
		}
	}
	t.Fatal("there is no document")
	return nil
}
