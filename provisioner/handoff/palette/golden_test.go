package palette

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

var update = flag.Bool("update", false, "rewrite the files of testdata")

// certificate is one that nobody uses.
const certificate = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"

// mode is one way in which hosts are ordered.
type mode struct {
	family, version, after string
	options                map[string]any
	config                 map[string]any
	static                 provisioner.Static
}

var modes = map[string]mode{
	"central":  {family: "kairos", version: "4.0.3", after: "reboot", options: map[string]any{"tags": map[string]any{"rack": "r4"}}},
	"poweroff": {family: "kairos", version: "4.0.3", after: "poweroff"},
	"old":      {family: "kairos", version: "3.1.3", after: "reboot"},
	"uki":      {family: "kairos-uki", version: "4.1.2", after: "poweroff"},
	"fips": {family: "kairos", version: "4.0.3", after: "poweroff",
		config: map[string]any{"install": map[string]any{"grub_options": map[string]any{"extra_cmdline": "fips=1"}}}},
	"static": {family: "kairos", version: "4.0.3", after: "reboot",
		options: map[string]any{"network": map[string]any{"interface": "eno1", "nameserver": "10.1.0.2"}},
		static:  provisioner.Static{Address: "10.1.4.12/22", Gateway: "10.1.4.1", DNS: []string{"10.1.0.2", "10.1.0.3"}}},
	"airgap": {family: "kairos", version: "4.0.3", after: "reboot", options: map[string]any{
		"network": map[string]any{"http_proxy": "http://proxy.example:3128", "https_proxy": "http://proxy.example:3128", "no_proxy": "10.0.0.0/8,.svc"},
		"ntp":     []any{"10.1.0.3"}, "ca_files": []any{"CA"}, "insecure_skip_verify": true, "debug": true, "feature_gate": "UserDataForm", "disable_tui": false,
		"registry":         map[string]any{"domain": "reg.example.org/edge", "username": "puller", "password_secret": "pull", "insecure": true},
		"registries":       []any{map[string]any{"domain": "reg.example.org", "repository": "edge", "username": "puller", "password_secret": "pull", "ca_files": []any{"CA"}}},
		"registry_mapping": map[string]any{"us-docker.pkg.dev/palette-images": "reg.example.org/edge"},
	}},
}

// TestEachModeIsGivenThisUserData keeps all of what a host reads, through the
// recipe of its image.
func TestEachModeIsGivenThisUserData(t *testing.T) {
	for name, m := range modes {
		t.Run(name, func(t *testing.T) {
			got := m.userData(t)
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

// userData is the document of the first host, in a mode.
func (m mode) userData(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	write(t, ca, certificate)
	d, err := New(Settings{Endpoint: "api.spectrocloud.com", KeyFile: ca, Site: "plant7"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := (&room{clock: &clock{}}).host(1)
	h.Intent.Row.Static = m.static
	options := withFile(m.options, ca).(map[string]any)
	options["project"] = "edge"
	if err := d.Options(options); err != nil {
		t.Fatal(err)
	}
	b := handoff.Batch{Order: "o1", Options: options, Config: m.config, Preview: true, Secrets: map[string]provisioner.Secret{"pull": "s3cret"}}
	carry, err := d.Prepare(t.Context(), b, h, "")
	if err != nil {
		t.Fatal(err)
	}
	return m.rendered(t, carry.Values)
}

// withFile is options with the file's name where they say CA.
func withFile(v any, file string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			out[key] = withFile(value, file)
		}
		return out
	case []any:
		var out []any
		for _, value := range v {
			out = append(out, withFile(value, file))
		}
		return out
	case string:
		if v == "CA" {
			return file
		}
	}
	return v
}

func (m mode) rendered(t *testing.T, carry map[string]any) []byte {
	t.Helper()
	family, ok := recipe.Builtin().Find(m.family)
	if !ok {
		t.Fatalf("no family %s", m.family)
	}
	const base = "http://10.1.0.5:8067/a/tok"
	out, err := family.Render(recipe.Values{
		Host: recipe.Identity{ID: "h-1", Name: "rack4-u1", Serial: "SN_0001"}, Attempt: "a-1", After: m.after, Handoff: carry,
		Disk: recipe.Target{ByID: "nvme-QEMU_NVMe_Ctrl_S1", Kernel: "nvme0n1", Serial: "S1"}, Version: map[string]string{"kairos": m.version},
		URL: recipe.URLs{Config: base + "/config", Writing: base + "/writing", Written: base + "/written", Booted: base + "/booted", PhoneHome: base + "/phone-home", Register: base + "/register"},
	}, recipe.Source{Config: m.config})
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

// everything is all that a host's user-data may say of Palette and Kairos, as an
// order says what the hand-off has no key for.
const everything = `
stylus:
  trace: true
  path: /opt
  includeTui: false
  disablePasswordUpdate: true
  imageRedirectWebhook: true
  enableMultiNode: false
  vip: {skip: true}
  localUI: {port: 5080, login: {maxAttempts: 5}}
  site:
    prefix: edge
    clusterName: c1
    clusterId: "1"
    deviceUIDPaths: [{name: /sys/class/dmi/id/product_uuid, regex: "[0-9a-fA-F-]+"}]
    tagsFromFile: {fileName: /etc/palette/tags.txt, delimiter: "\n", separator: ":"}
    tagsFromScript: {scriptName: /etc/palette/tags.sh, timeout: 60}
    registrationURL: https://qr.example/edge
    disableAutoRegister: false
    remoteShell: {disable: true}
    users: [{name: ops, lock_passwd: true}]
install:
  grub_options: {extra_cmdline: fips=1}
  partitions: {persistent: {size: 60000, fs: ext4}}
  extra-partitions: [{name: data, size: 0, fs: ext4, label: DATA}]
  bind_mounts: [/var/lib/vendor]
stages:
  initramfs: [{users: {ops: {groups: [sudo], passwd: "$6$HASH"}}}]
  kairos-install.pre.before: [{name: wipe, commands: ["true"]}]
  before-install: [{commands: ["true"]}]
  after-install: [{commands: ["true"]}]
`

// TestAllThatAgentAndInstallerReadIsInAnOrdersReach: what has a key of the
// hand-off is in the golden file of the mode airgap and static.
func TestAllThatAgentAndInstallerReadIsInAnOrdersReach(t *testing.T) {
	var config map[string]any
	if err := yaml.Unmarshal([]byte(everything), &config); err != nil {
		t.Fatal(err)
	}
	m := modes["airgap"]
	m.config = config
	got := string(m.userData(t))
	for _, key := range []string{
		// of the order's config
		"trace", "path", "includeTui", "disablePasswordUpdate", "imageRedirectWebhook", "enableMultiNode", "vip", "localUI", "port",
		"prefix", "clusterName", "clusterId", "deviceUIDPaths", "regex", "tagsFromFile", "tagsFromScript", "registrationURL", "disableAutoRegister",
		"remoteShell", "users", "grub_options", "extra_cmdline", "partitions", "extra-partitions", "bind_mounts", "initramfs", "before-install",
		// of the hand-off
		"managementMode", "featureGate", "disableTui", "debug", "registryCredentials", "externalRegistries", "registries", "repositoryName", "certificates",
		"registryMappingRules", "paletteEndpoint", "edgeHostToken", "projectName", "name", "hostName", "network", "httpProxy", "noProxy", "caCerts",
		"insecureSkipVerify", "ntpServers", "domain", "username", "password", "insecure",
		// muster's own
		"auto", "device", "poweroff", "reboot", "kairos-install.pre.before", "after-install",
	} {
		if !strings.Contains(got, `"`+key+`":`) {
			t.Errorf("%s is not in what the host reads", key)
		}
	}
	if ask, wipe := strings.Index(got, "ask muster whether"), strings.Index(got, `"name": "wipe"`); ask < 0 || wipe < ask {
		t.Error("the order's stage comes before muster's question")
	}
	static := string(modes["static"].userData(t))
	for _, key := range []string{"interfaces", "eno1", "type", "ipAddress", "mask", "gateway", "nameserver"} {
		if !strings.Contains(static, `"`+key+`":`) {
			t.Errorf("%s is not in what a host with a fixed address reads", key)
		}
	}
	if !bytes.HasPrefix([]byte(got), []byte("#cloud-config\n")) {
		t.Error("the header is missing, and the installer would drop it all")
	}
}

func TestWhatCannotBeSaidIsRefusedBeforeAHostBoots(t *testing.T) {
	for _, tc := range []struct {
		name   string
		static provisioner.Static
		option map[string]any
		want   string
	}{
		{"fixed address of a port without a name", provisioner.Static{Address: "10.0.0.9/24"}, nil, "handoff.network.interface: say how"},
		{"IPv6", provisioner.Static{Address: "fd00::9/64"}, map[string]any{"network": map[string]any{"interface": "eno1"}}, "is no IPv4 address"},
		{"VLAN", provisioner.Static{Address: "10.0.0.9/24", VLAN: 7}, map[string]any{"network": map[string]any{"interface": "eno1"}}, "VLAN 7"},
		{"a secret that is not there", provisioner.Static{}, map[string]any{"registry": map[string]any{"domain": "d", "password_secret": "none"}}, `the secret "none"`},
		{"a file that is not there", provisioner.Static{}, map[string]any{"ca_files": []any{"/nowhere"}}, "handoff.ca_files: read certificates"},
	} {
		d, err := New(Settings{Endpoint: "api.example.org"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := (&room{clock: &clock{}}).host(1)
		h.Intent.Row.Static = tc.static
		options := map[string]any{"project": "edge"}
		for key, value := range tc.option {
			options[key] = value
		}
		_, err = d.Prepare(t.Context(), handoff.Batch{Options: options, Preview: true}, h, "")
		if err == nil || !strings.Contains(err.Error(), tc.want) || provisioner.KindOf(err) != provisioner.Operator {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
}

// TestAMistakeInTheOrdersOwnKeysIsRefusedBeforeAHostBoots: the agent would leave
// it aside without a word.
func TestAMistakeInTheOrdersOwnKeysIsRefusedBeforeAHostBoots(t *testing.T) {
	d, err := New(Settings{Endpoint: "api.example.org"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, config, options, want string }{
		{"a name that is nearly one", "stylus: {site: {tag: {a: b}}}", "", "config: stylus.site.tag is no key"},
		{"what the hand-off decides", "stylus: {site: {projectName: other}}", "", "config: stylus.site.projectName would not count"},
		{"another project", "stylus: {site: {projectUid: u}}", "", "config: stylus.site.projectUid names a project"},
		{"a name that is not the UUID's", "stylus: {site: {prefix: box}}", "identity: uuid", "config: stylus.site.prefix would have the agent take another name"},
		{"a prefix that is not used", "stylus: {site: {prefix: box}}", "", ""},
		{"a key of a newer agent", "stylus: {site: {colour: red}}", "other_keys: allowed", ""},
	} {
		h := (&room{clock: &clock{}}).host(1)
		var config, options map[string]any
		if err := yaml.Unmarshal([]byte(tc.config), &config); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte("project: edge\n"+tc.options), &options); err != nil {
			t.Fatal(err)
		}
		_, err := d.Prepare(t.Context(), handoff.Batch{Options: options, Config: config, Preview: true}, h, "")
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	d, err := New(Settings{Endpoint: "api.example.org"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		options map[string]any
		want    string
	}{
		{nil, "handoff.project: name the Palette project"},
		{map[string]any{"project": "a", "identity": "mac"}, `handoff.identity: "mac" is neither name nor uuid`},
		{map[string]any{"project": "a", "replace_stale": "yes"}, `handoff.replace_stale: "yes" is neither never nor allowed`},
		{map[string]any{"project": "a", "agent_version": "4.9"}, `handoff.agent_version: "4.9" is neither`},
		{map[string]any{"project": "a", "other_keys": "all"}, `handoff.other_keys: "all" is neither refused nor allowed`},
		{map[string]any{"project": "a", "token": map[string]any{"valid": "1h"}}, `handoff.token.valid: "1h" is no length of time between`},
		{map[string]any{"project": "a", "token": map[string]any{"valid": "72h", "file": "/t"}}, "handoff.token.valid: a token from a file"},
		{map[string]any{"project": "a", "tags": map[string]any{"a": "x\ny"}}, `handoff.tags: "a" cannot be a tag`},
		{map[string]any{"project": "a", "network": map[string]any{"http_proxy": "proxy:3128"}}, "handoff.network.http_proxy: write it like"},
		{map[string]any{"project": "a", "network": map[string]any{"nameserver": "dns"}}, `handoff.network.nameserver: "dns" is no IP address`},
		{map[string]any{"project": "a", "network": map[string]any{"interface": "a b"}}, "handoff.network.interface:"},
		{map[string]any{"project": "a", "registry": map[string]any{}}, "handoff.registry.domain: name the registry"},
		{map[string]any{"project": "a", "registries": []any{map[string]any{}}}, "handoff.registries[0].domain: name the registry"},
		{map[string]any{"project": "a", "registry_mapping": map[string]any{"a": "b"}}, "handoff.registry_mapping: it maps to registries"},
		{map[string]any{"project": "a", "ntp": []any{"a b"}}, `handoff.ntp[0]: "a b" is no time server`},
	} {
		if err := d.Options(tc.options); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %s", tc.options, err, tc.want)
		}
	}
	none, err := New(Settings{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := none.Options(map[string]any{"project": "a"}); err == nil || !strings.HasPrefix(err.Error(), "handoff.driver: this muster has no Palette") {
		t.Errorf("without settings: %v", err)
	}
}

func TestNamesArePlainShortAndTheHostsOwn(t *testing.T) {
	plain := "abcdefghijklmnopqrstuvwxyz0123456789-"
	for _, tc := range []struct {
		site string
		row  provisioner.Row
		want string
	}{
		{"Plant 7", provisioner.Row{Serial: "SN_00/01"}, "plant-7-sn-00-01"},
		{"", provisioner.Row{Serial: "X1"}, "edge-x1"},
		{"p", provisioner.Row{Serial: "To be filled by O.E.M.", UUID: "00112233-4455-6677-8899-AABBCCDDEEFF"}, "p-00112233-4455-6677-8899-aabbccddeeff"},
		{"p", provisioner.Row{MACs: []string{"52:54:00:00:00:01"}}, "p-52-54-00-00-00-01"},
		{"p", provisioner.Row{}, "p-h-1"},
		{"p", provisioner.Row{Serial: "Ä é"}, "p-h-1"},
		{"p", provisioner.Row{Serial: strings.Repeat("x1", 100)}, "p-" + strings.Repeat("x1", 63)},
	} {
		got := nameOf(tc.site, provisioner.Host{ID: "h-1", Intent: provisioner.Intent{Row: tc.row}})
		if got != tc.want || len(got) > maxName || strings.Trim(got, plain) != "" {
			t.Errorf("%q %+v is %s, want %s", tc.site, tc.row, got, tc.want)
		}
	}
	h := provisioner.Host{Intent: provisioner.Intent{Row: provisioner.Row{UUID: "00112233-4455-6677-8899-aabbccddeeff"}}}
	uids := (&Driver{}).uidsOf(options{Identity: byUUID}, h)
	if !slices.Equal(uids, []string{"edge-00112233445566778899aabbccddeeff", "edge-33221100554477668899aabbccddeeff"}) {
		t.Errorf("by UUID: %v", uids)
	}
}
