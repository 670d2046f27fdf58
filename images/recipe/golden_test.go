package recipe

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the files of testdata")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
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
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// orders are what an order may add, one for each format.
var orders = map[Format]Source{
	CloudConfig: {
		Template: "#cloud-config\nstylus:\n  site:\n    name: {{quote .Host.Name}}\n    edgeHostToken: {{quote .Secrets.token}}\n",
		Config:   map[string]any{"stylus": map[string]any{"disableTui": true, "site": map[string]any{"tags": map[string]any{"site": "{{.Site.Name}}"}}}},
	},
	NoCloud: {Template: "#cloud-config\nusers:\n- name: ops\n  hashed_passwd: {{quote .Secrets.hash}}\n  lock_passwd: false\nruncmd:\n- [touch, /run/ordered]\n"},
	Autoinstall: {Template: "#cloud-config\nautoinstall:\n  identity:\n    username: ops\n    password: {{quote .Secrets.hash}}\n" +
		"  early-commands: [echo ordered]\n  late-commands: [curtin in-target -- touch /ordered]\n  storage: {layout: {name: direct}}\n"},
	Preseed: {Template: "# {{.Order.Name}}\nd-i passwd/root-password-crypted password {{quote .Secrets.hash}}\n" +
		"d-i pkgsel/include string \\\n  openssh-server \\\n  curl\n" +
		"d-i preseed/late_command string echo 'it''s {{.Host.Name}}' > /target/etc/motd; in-target systemctl enable ssh\n"},
	Kickstart: {Template: "url --url=http://{{.Site.Values.mirror}}/alma\nrootpw --iscrypted {{shell .Secrets.hash}}\npart / --grow --size=8000\n" +
		"%packages\n@core\nchrony\n%end\n%post\necho {{shell .Host.Name}} > /etc/motd\n%end\n"},
	Ignition: {Template: `{"ignition": {"version": "3.3.0"}, "passwd": {"users": [{"name": "core", "passwordHash": {{quote .Secrets.hash}}}]}}`},
	Talos: {Template: "version: v1alpha1\nmachine:\n  type: worker\n  token: {{quote .Secrets.token}}\n  install: {image: ghcr.io/siderolabs/installer:v1.8.3}\ncluster:\n  controlPlane: {endpoint: https://10.1.0.9:6443}\n" +
		"---\napiVersion: v1alpha1\nkind: WatchdogTimerConfig\ndevice: /dev/watchdog0\n"},
}

// TestEveryFamilyGetsWhatItReads keeps all that one host of each family gets.
func TestEveryFamilyGetsWhatItReads(t *testing.T) {
	for _, r := range Builtin().Recipes() {
		t.Run(r.Family, func(t *testing.T) {
			v := values()
			v.Label = "MEDIUM"
			v.Network = Network{Address: "10.1.4.12", Prefix: 24, Gateway: "10.1.4.1", DNS: []string{"10.1.0.2"}}
			out, err := r.Render(v, orders[r.Config.Format])
			if err != nil {
				t.Fatal(err)
			}
			golden(t, r.Family+".txt", asText(out))
		})
	}
}

// asText is a rendering as one text.
func asText(out Rendered) []byte {
	var b bytes.Buffer
	documents := func(kind string, list []Document) {
		for _, d := range list {
			b.WriteString("== " + kind + " " + d.Name + " (" + d.Type + ")\n" + string(d.Content))
		}
	}
	documents("document", out.Documents)
	documents("seed", out.Seed)
	for _, c := range out.Medium {
		b.WriteString("== medium " + c.Path + strings.Join(c.Args, " ") + "\n" + strings.ReplaceAll(string(c.Content), "\x00", "\\0"))
	}
	b.WriteString("== args " + strings.Join(out.Args, " ") + "\n")
	return b.Bytes()
}

// rendered is the document of a family that has a name.
func rendered(t *testing.T, name, document string, v Values, s Source) []byte {
	t.Helper()
	out, err := named(t, name).Render(v, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(out.Documents, out.Seed...) {
		if d.Name == document {
			return d.Content
		}
	}
	t.Fatalf("%s has no document %s", name, document)
	return nil
}

// peer runs another's program on a document; as root it must be there.
func peer(t *testing.T, document []byte, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("%v: run make lab", err)
		}
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, append(args, file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", program, err, out, document)
	}
	return string(out)
}

func TestCloudInitTakesTheSeedOfADiskImage(t *testing.T) {
	said := peer(t, rendered(t, "disk", "user-data", values(), orders[NoCloud]), "cloud-init", "schema", "-c")
	if !strings.Contains(said, "Valid cloud-config") {
		t.Errorf("cloud-init says %s", said)
	}
	if said := peer(t, Inert(), "cloud-init", "schema", "-c"); !strings.Contains(said, "Valid") {
		t.Errorf("cloud-init says of what changes nothing: %s", said)
	}
}

// TestCloudInitTakesWhatUbuntuGets asks it about the part that reaches the
// installed system; the rest is no cloud-config.
func TestCloudInitTakesWhatUbuntuGets(t *testing.T) {
	var doc struct {
		Autoinstall struct {
			UserData map[string]any `yaml:"user-data"`
		}
	}
	v := values()
	v.Handoff = nil // keys that only an agent knows
	if err := yaml.Unmarshal(rendered(t, "ubuntu", "user-data", v, orders[Autoinstall]), &doc); err != nil {
		t.Fatal(err)
	}
	inner, err := encode(header, doc.Autoinstall.UserData)
	if err != nil {
		t.Fatal(err)
	}
	peer(t, inner, "cloud-init", "schema", "-c")
}

func TestDebconfTakesAPreseed(t *testing.T) {
	for _, name := range []string{"debian", "debian-netboot"} {
		peer(t, rendered(t, name, MainDocument, values(), orders[Preseed]), "debconf-set-selections", "-c")
	}
}

func TestIgnitionTakesWhatItGets(t *testing.T) {
	for _, name := range []string{"flatcar", "coreos"} {
		for _, document := range []string{MainDocument, InstalledDocument} {
			peer(t, rendered(t, name, document, values(), orders[Ignition]), "ignition-validate")
		}
	}
}

// TestEveryScriptIsShell has the shells read what muster writes for them.
func TestEveryScriptIsShell(t *testing.T) {
	var scripts []string
	for _, text := range []string{
		string(rendered(t, "ubuntu", "user-data", values(), orders[Autoinstall])),
	} {
		var doc struct {
			Autoinstall struct {
				Early []string `yaml:"early-commands"`
				Late  []string `yaml:"late-commands"`
			}
		}
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		scripts = append(append(scripts, doc.Autoinstall.Early...), doc.Autoinstall.Late...)
	}
	for _, l := range preseedLines(string(rendered(t, "debian-netboot", MainDocument, values(), orders[Preseed]))) {
		if strings.HasSuffix(l.question, "_command") {
			scripts = append(scripts, l.answer)
		}
	}
	section := ""
	for line := range strings.Lines(string(rendered(t, "anaconda", MainDocument, values(), orders[Kickstart]))) {
		switch {
		case strings.HasPrefix(line, "%p"):
			section = "#"
		case strings.HasPrefix(line, "%end") && section != "" && !strings.Contains(section, "@core"):
			scripts = append(scripts, section)
			section = ""
		case section != "":
			section += line
		}
	}
	for _, script := range scripts {
		for _, shell := range []string{"bash", "dash"} {
			peer(t, []byte(script), shell, "-n")
		}
	}
	if len(scripts) < 12 {
		t.Errorf("%d scripts were read", len(scripts))
	}
	booted, err := fileOf("booted.sh", inShell, values())
	if err != nil {
		t.Fatal(err)
	}
	peer(t, []byte(booted), "bash", "-n")
}

// TestAMediumOfCoreOSBringsItsConfigurationAsAnInitramfs has cpio read it.
func TestAMediumOfCoreOSBringsItsConfigurationAsAnInitramfs(t *testing.T) {
	out, err := named(t, "coreos").Render(values(), orders[Ignition])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cpio := exec.CommandContext(t.Context(), "cpio", "-id", "--quiet")
	cpio.Dir, cpio.Stdin = dir, bytes.NewReader(out.Medium[0].Content)
	if said, err := cpio.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	got, err := os.ReadFile(filepath.Join(dir, "config.ign"))
	if err != nil || !bytes.Equal(got, out.Documents[0].Content) {
		t.Errorf("cpio read %q, %v", got, err)
	}
	if !json.Valid(got) {
		t.Error("it is no JSON")
	}
}
