package recipe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const siteRecipe = `family: plant7
about: plant 7 installer
form: iso
needs: [/live/vmlinuz, /live/initrd.img]
kernel: /live/vmlinuz
initrds: [/live/initrd.img]
cmdline: [boot=live, "fetch={files}/live/filesystem.squashfs", "answers={config}"]
config: {format: cloud-config, netboot: answers on the kernel command line}
ends: it powers off
`

func load(t *testing.T, files map[string]string) (Book, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(dir)
}

func TestASiteAddsItsOwnRecipe(t *testing.T) {
	b, err := load(t, map[string]string{"plant7.yaml": siteRecipe, "README": "no recipe"})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(Builtin().Recipes()) + 1; len(b.Recipes()) != want {
		t.Errorf("%d recipes, want %d", len(b.Recipes()), want)
	}
	r, _, _ := b.Recognise(listing{ISO, "", []string{"/live/vmlinuz", "/live/initrd.img"}})
	got, err := r.Netboot(bootURLs(), nil)
	const want = "boot=live fetch=http://10.1.0.5:8067/i/4f2a/live/filesystem.squashfs answers=http://10.1.0.5:8067/a/tok/config.yaml"
	if err != nil || r.Family != "plant7" || got.Cmdline != want {
		t.Errorf("family %q boots with %q, %v", r.Family, got.Cmdline, err)
	}
}

func TestASiteRecipeIsReadStrictly(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(siteRecipe, from, to, 1) }
	tests := []struct{ name, text, want string }{
		{"a key that is none", siteRecipe + "kernal: /x\n", "kernal"},
		{"a key twice", siteRecipe + "family: twice\n", "family"},
		{"the name of another", change("family: plant7", "family: kairos"), "there is a family kairos already"},
		{"a name with a slash", change("family: plant7", "family: ../x"), `family: "../x" may not hold "."`},
		{"a form that is none", change("form: iso", "form: floppy"), `form: "floppy" is not one of`},
		{"a format that is none", change("format: cloud-config", "format: toml"), `config: format: "toml" is not one of`},
		{"a transport that is none", siteRecipe + "proven: [carrier-pigeon]\n", `proven: "carrier-pigeon" is not one of`},
		{"no way to tell it", change("needs: [/live/vmlinuz, /live/initrd.img]", "needs: []"), "every image would be of the family"},
		{"a path that climbs", change("kernel: /live/vmlinuz", "kernel: /../vmlinuz"), `kernel: "/../vmlinuz" is not a clean absolute path`},
		{"a path that does not begin at the root", siteRecipe + "rootfs: live/root\n", `rootfs: "live/root" is not a clean absolute path; write it like`},
		{"an argument that is two", change("boot=live", `"boot=live init=/bin/sh"`), `may not hold " "`},
		{"a value nobody has", change("{config}", "{secret}"), "there is no value {secret}"},
		{"an unfinished word", change("{config}", "{config"), "kernel argument"},
		{"a template that is none", siteRecipe + "template: \"{{.Host.Name\"\n", "template: line 1: unclosed action"},
		{"a template that nobody reads", change("cloud-config", "none") + "template: x\n", "nobody reads it"},
		{"no end", change("ends: it powers off\n", ""), "how an installation ends"},
		{"too much", siteRecipe + "#" + strings.Repeat("x", maxRecipe), "a recipe has at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := load(t, map[string]string{"x.yaml": tt.text}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := load(t, map[string]string{"a.yaml": siteRecipe, "b.yaml": siteRecipe}); err == nil || !strings.Contains(err.Error(), "b.yaml: another file has the family plant7") {
		t.Errorf("the same family twice: %v", err)
	}
	for _, name := range []string{"plant7.yml", "PLANT7.YAML"} {
		if _, err := load(t, map[string]string{name: siteRecipe}); err == nil || !strings.Contains(err.Error(), name+": a recipe's file ends in .yaml") {
			t.Errorf("%s is passed over in silence: %v", name, err)
		}
	}
	if b, err := load(t, map[string]string{"README.md": "ours", "a.yaml.orig": "x"}); err != nil || len(b.Recipes()) != len(Builtin().Recipes()) {
		t.Errorf("beside other files: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that is not there was read")
	}
}
