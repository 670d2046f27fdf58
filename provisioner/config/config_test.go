package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"
)

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestTheSampleInTheDocsIsAccepted(t *testing.T) {
	got, err := Load("../../docs/muster.example.yaml", "")
	if err != nil {
		t.Fatal(err)
	}
	router := netip.MustParseAddr("10.0.0.1")
	want := Config{
		Data: "/var/lib/muster", Socket: "/var/lib/muster/muster.sock", BootPort: 8067, LogLevel: zerolog.InfoLevel,
		Recipes: "/etc/muster/recipes",
		BootTLS: BootTLS{Port: 8068, Certificate: "/etc/muster/boot.crt", Key: "/etc/muster/boot.key"},
		Site:    Site{Name: "plant7", TimeZone: "Europe/Oslo", Values: map[string]string{"mirror": "deb.example.org", "ntp": "10.0.0.1"}},
		Handoff: Handoff{LocalUI: LocalUI{Bundles: "/srv/bundles"}, Palette: Palette{
			Endpoint: "api.spectrocloud.com", APIKey: "/etc/muster/palette.key",
			CA: "/etc/muster/palette-ca.pem", Proxy: "http://proxy.example:3128"}},
		Deadlines: Deadlines{10 * time.Minute, 10 * time.Minute, 30 * time.Minute, 15 * time.Minute},
		PowerOn:   PowerOn{Hosts: 8, Every: 10 * time.Second},
		Networks: []Network{{
			Interface: "eth1", DHCP: DHCPFull,
			Pool:   Pool{netip.MustParseAddr("10.0.0.100"), netip.MustParseAddr("10.0.0.200")},
			Router: router, DNS: []netip.Addr{router}, NTP: []netip.Addr{router},
			Unknown: UnknownSilent, Loader: LoaderAuto, RouterAdvertisements: true,
		}, {
			Interface: "eth2", DHCP: DHCPFull,
			Pool:    Pool{netip.MustParseAddr("10.0.1.100"), netip.MustParseAddr("10.0.1.200")},
			Unknown: UnknownDiscover, Loader: LoaderAuto, RouterAdvertisements: true,
		}},
		Webhooks: []Webhook{{Name: "cmdb", URL: "https://cmdb.example.com/hooks/muster",
			SecretFile: "/etc/muster/cmdb.secret", CAFile: "/etc/muster/cmdb-ca.pem", Events: []string{"move", "intent"}}},
	}
	if diff := cmp.Diff(want, got, compareAddrs, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAWebhookThatCannotWorkIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"{name: a, url: 'https://x/y', secret_file: s}":                                                "",
		"{name: a, url: 'https://10.0.0.9:8443/y', secret_file: s}":                                    "",
		"{name: A B, url: 'https://x/y', secret_file: s}":                                              "webhooks[0].name",
		"{name: a, url: 'http://x/y', secret_file: s}":                                                 "use https",
		"{name: a, url: 'https://u:p@x/y', secret_file: s}":                                            "leave the login out",
		"{name: a, url: x, secret_file: s}":                                                            "write the receiver's URL",
		"{name: a, url: 'https://x/y'}":                                                                "webhooks[0].secret_file",
		"{name: a, url: 'https://x/y', secret_file: s, events: [boot]}":                                `"boot" is no event: use move, fact`,
		"{name: a, url: 'https://x/y', secret_file: s}, {name: a, url: 'https://x/y', secret_file: s}": "a is webhooks[0] already",
	} {
		_, err := Parse("test", []byte(minimal+"webhooks: ["+text+"]\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestTheFileThatRefusalsQuoteIsAccepted(t *testing.T) {
	got, err := Parse("minimal", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Networks) != 1 || got.Networks[0].Pool.Size() != 101 {
		t.Errorf("networks = %+v, want one with a pool of 101", got.Networks)
	}
}

func TestWithoutAFileTheRefusalSaysWhatToWrite(t *testing.T) {
	for _, name := range []string{"", filepath.Join(t.TempDir(), "none.yaml")} {
		_, err := Load(name, "")
		if err == nil || !strings.Contains(err.Error(), minimal) {
			t.Errorf("Load(%q): %v, want the smallest file quoted", name, err)
		}
	}
}

func TestADataDirectoryOfTheCommandLineWins(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "muster.yaml")
	if err := os.WriteFile(name, []byte("data: /elsewhere\n"+minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(name, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Data != dir || got.Socket != SocketIn(dir) {
		t.Errorf("data %s, socket %s, want both in %s", got.Data, got.Socket, dir)
	}
}

func TestErrorsNameTheKeyAndTheLine(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "networks:\n- interface: a\n  pol: x\n", `f: line 3: unknown key "pol"`},
		{"unknown key at the top", "nets: []\n", `f: line 1: unknown key "nets"`},
		{"duplicate key", "log: info\nlog: warn\n", `f: line 2: mapping key "log" already defined`},
		{"broken YAML", "networks: [\n", "f: line 1: "},
		{"wrong type", minimal + "boot: {port: many}\n", "f: line 4: "},
		{"no networks", "log: info\n", "f: networks: at least one network is needed: write\n\n" + minimal},
		{"empty file", "", "f: the file is empty"},
		{"no pool", "networks:\n- interface: a\n", "f: line 2: networks[0].pool: write the first and the last address"},
		{"pool of names", "networks:\n- interface: a\n  pool: x-y\n", `f: line 3: networks[0].pool: "x" is no IPv4 address`},
		{"pool backwards", "networks:\n- interface: a\n  pool: 10.0.0.9-10.0.0.1\n", "f: line 3: networks[0].pool: 10.0.0.9 to 10.0.0.1 is no range"},
		{"pool too large", "networks:\n- interface: a\n  pool: 10.0.0.0-10.1.0.0\n", "is no range of 1 to 65536 addresses"},
		{"IPv6 pool", "networks:\n- interface: a\n  pool: fd00::1-fd00::9\n", `"fd00::1" is no IPv4 address`},
		{"router in the pool", "networks:\n- interface: a\n  pool: 10.0.0.1-10.0.0.9\n  router: 10.0.0.2\n", "f: line 3: networks[0].pool: the router 10.0.0.2 is inside"},
		{"pool without DHCP", "networks:\n- interface: a\n  dhcp: off\n  pool: 10.0.0.1-10.0.0.9\n", "f: line 4: networks[0].pool: this network has dhcp: off"},
		{"same interface twice", minimal + "  - interface: eth1\n    pool: 10.0.1.1-10.0.1.9\n", "f: line 4: networks[1].interface: eth1 is networks[0] already"},
		{"no interface", "networks:\n- pool: 10.0.0.1-10.0.0.9\n", "networks[0].interface: name the interface"},
		{"path as interface", "networks:\n- interface: a/b\n  pool: 10.0.0.1-10.0.0.9\n", `f: line 2: networks[0].interface: "a/b" cannot be`},
		{"bad choice", minimal + "    unknown: maybe\n", `f: line 4: networks[0].unknown: "maybe" is not one of silent, discover`},
		{"deadline without unit", minimal + "deadlines:\n  install: 30\n", `f: line 5: deadlines.install: "30" is no length of time`},
		{"deadline too short", minimal + "deadlines: {verify: 1s}\n", "f: line 4: deadlines.verify: 1s is too short"},
		{"port", minimal + "boot: {port: 70000}\n", "f: line 4: boot.port: 70000 is no TCP port"},
		{"https port", minimal + "boot: {https_port: 0}\n", "f: line 4: boot.https_port: 0 is no TCP port"},
		{"one port for both", minimal + "boot: {port: 8068}\n", "boot.https_port: 8068 is boot.port already"},
		{"certificate without key", minimal + "boot: {certificate: a.crt}\n", "f: line 4: boot: certificate and key go together"},
		{"key without certificate", minimal + "boot: {key: a.key}\n", "f: line 4: boot: certificate and key go together"},
		{"log level", minimal + "log: loud\n", `f: line 4: log: "loud" is not one of`},
		{"site of two lines", minimal + "site:\n  name: \"a\\nb\"\n", `f: line 5: site.name: "a\nb" is no name`},
		{"no time zone", minimal + "site: {time_zone: Berlin/Europe}\n", `f: line 4: site.time_zone: "Berlin/Europe" is no time zone`},
		{"the server's own time zone", minimal + "site: {time_zone: Local}\n", `site.time_zone: "Local" is no time zone`},
		{"path as time zone", minimal + "site: {time_zone: ../passwd}\n", `site.time_zone: "../passwd" is no time zone`},
		{"value that no template can name", minimal + "site: {values: {a-b: x}}\n", `f: line 4: site.values: "a-b" cannot be the name`},
		{"value of two lines", minimal + "site:\n  values:\n    a: \"x\\ny\"\n", "f: line 6: site.values.a: a value is one line"},
		{"number as value", minimal + "site: {values: {a: 010}}\n", "f: line 4: put this value in quotes"},
		{"endpoint with a scheme", minimal + "handoff:\n  palette: {endpoint: 'https://api.example.org', api_key: k}\n", `f: line 5: handoff.palette.endpoint: "https://api.example.org" is no host name`},
		{"no key file", minimal + "handoff:\n  palette: {endpoint: api.example.org}\n", "handoff.palette.api_key: name the file"},
		{"proxy without a scheme", minimal + "handoff:\n  palette: {endpoint: api.example.org, api_key: k, proxy: 'proxy:3128'}\n", "f: line 5: handoff.palette.proxy: write it like"},
		{"a hand-off that needs no settings", minimal + "handoff: {callhome: {}}\n", `f: line 4: unknown key "callhome"`},
		{"one bad of two servers", minimal + "    dns: [10.0.0.1, here]\n", `f: line 4: networks[0].dns[1]: "here" is no IPv4 address`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tc.text))
			if got := withoutColumns(err); !strings.Contains(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// withoutColumns keeps file, line and text of an error.
func withoutColumns(err error) string {
	return regexp.MustCompile(`, column \d+`).ReplaceAllString(fmt.Sprint(err), "")
}

func TestEveryFaultIsSaidAtOnce(t *testing.T) {
	_, err := Parse("f", []byte("log: loud\nboot: {port: 0}\nnetworks:\n- interface: a\n"))
	for _, want := range []string{"f: line 1: log", "f: line 2: boot.port", "networks[0].pool"} {
		if !strings.Contains(withoutColumns(err), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

func TestOneServerMayBeWrittenWithoutBrackets(t *testing.T) {
	got, err := Parse("f", []byte(minimal+"    dns: 10.0.0.1\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	if diff := cmp.Diff(want, got.Networks[0].DNS, compareAddrs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDiscoversWhenAnyNetworkDoes(t *testing.T) {
	quiet, err := Parse("f", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	open, err := Parse("f", []byte(minimal+"    unknown: discover\n"))
	if err != nil {
		t.Fatal(err)
	}
	if quiet.Discovers() || !open.Discovers() {
		t.Errorf("silent discovers %t, discover discovers %t", quiet.Discovers(), open.Discovers())
	}
}
