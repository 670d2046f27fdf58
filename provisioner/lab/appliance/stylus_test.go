package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner/handoff/localui/localuitest"
	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
)

// theMachine is a host with one disk and two network ports.
func theMachine() machine {
	return machine{
		uuid: "00112233-4455-6677-8899-AABBCCDDEEFF", cores: 4, memoryMB: 7938, disks: []disk{{"nvme0n1", 107, "nvme", "QEMU"}},
		nics: []localuitest.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01"}, {Name: "eth1", MAC: "52:54:00:00:00:02", IP: "10.77.0.5", Main: true}},
	}
}

func read(t *testing.T, text string) config {
	t.Helper()
	values, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := collection{merged: values}
	if err := c.decode(); err != nil {
		t.Fatal(err)
	}
	return c.config
}

const centralConfig = `#cloud-config
stylus:
  managementMode: central
  site:
    paletteEndpoint: ENDPOINT
    edgeHostToken: TOKEN
    name: plant7-sn1
    projectName: edge
    tags: {rack: r4, unit: 12}
    caCerts: [CA]
`

// palette is a stand-in for the Palette API with a token of the project Default.
func palette(t *testing.T) (up *palettetest.Listening, token string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up, err = palettetest.Serve(palettetest.New(palettetest.Options{}), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := up.Close(); err != nil {
			t.Error(err)
		}
	})
	made := up.PutToken(palettetest.Token{Name: "order-o1", Project: "p-default", Expiry: time.Now().Add(time.Hour), Active: true})
	return up, made.Value
}

// TestTheAgentRegistersWhatItReadOfTheMachine also after it was refused at first.
func TestTheAgentRegistersWhatItReadOfTheMachine(t *testing.T) {
	up, token := palette(t)
	text := strings.NewReplacer("ENDPOINT", up.Endpoint, "TOKEN", token, "CA", base64.StdEncoding.EncodeToString(up.CA)).Replace(centralConfig)
	site := read(t, text).Stylus.Site
	up.Fail(palettetest.Faults{Status: 500})
	var said []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := keepRegistered(ctx, site, theMachine().record(site.Name, site), func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
		if up.Fail(palettetest.Faults{}); len(said) == 2 {
			cancel()
		}
	})
	if err != nil || len(said) != 2 || !strings.Contains(said[0], "500") || !strings.HasSuffix(said[1], " as plant7-sn1") {
		t.Fatalf("%v, said %q", err, said)
	}
	if strings.Contains(fmt.Sprint(said), token) {
		t.Error("the token was printed")
	}
	got, ok := up.Host("plant7-sn1")
	if !ok {
		t.Fatal("Palette does not know the host")
	}
	if text := fmt.Sprintf("%+v", got); !strings.Contains(text, "52:54:00:00:00:02") || !strings.Contains(text, "7938") || !strings.Contains(text, "107") {
		t.Errorf("it knows of it: %s", text)
	}
}

func TestTheAgentBelievesOnlyWhomItsConfigurationNames(t *testing.T) {
	up, token := palette(t)
	for _, tc := range []struct {
		name string
		site stylusSite
		want string
	}{
		{"nobody vouches for the server", stylusSite{PaletteEndpoint: up.Endpoint}, "certificate"},
		{"the check is switched off", stylusSite{PaletteEndpoint: up.Endpoint, InsecureSkipVerify: true}, ""},
		{"a CA that is none", stylusSite{PaletteEndpoint: up.Endpoint, CACerts: []string{"AAAA"}}, "no certificate"},
	} {
		tc.site.EdgeHostToken = token
		client, err := tc.site.client()
		if err == nil {
			err = theMachine().record("plant7-sn1", tc.site).post(t.Context(), client, tc.site)
		}
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestAnAgentWithoutATokenSaysSo(t *testing.T) {
	var said string
	err := keepRegistered(t.Context(), stylusSite{PaletteEndpoint: "palette.example"}, record{}, func(format string, args ...any) { said += fmt.Sprintf(format, args...) })
	if err != nil || !strings.Contains(said, "edgeHostToken") {
		t.Errorf("%v, said %q", err, said)
	}
}

// The first hash is openssl's work and not that of the library under test.
const usersConfig = `#cloud-config
stylus: {managementMode: local, localUI: {port: 5443}}
stages:
  initramfs:
  - users:
      kairos: {groups: [sudo], passwd: HASH}
      plain: {passwd: open}
      nobody: {}
`

func TestOnlyUsersOfTheConfigurationLogInAtTheLocalAPI(t *testing.T) {
	c := read(t, strings.Replace(usersConfig, "HASH", hashOf(t, "secret"), 1))
	if c.Stylus.LocalUI.Port != 5443 {
		t.Errorf("port %d", c.Stylus.LocalUI.Port)
	}
	for _, tc := range []struct {
		user, password string
		want           bool
	}{
		{"kairos", "secret", true}, {"kairos", "Secret", false}, {"kairos", "", false}, {"plain", "open", true},
		{"nobody", "", false}, {"root", "secret", false},
	} {
		if got := c.login(tc.user, tc.password); got != tc.want {
			t.Errorf("%s with %q: %v", tc.user, tc.password, got)
		}
	}
}

func TestTheMachineIsReadFromTheKernel(t *testing.T) {
	if got := memoryOf("MemTotal:        8129308 kB\nMemFree: 1 kB\n"); got != 7938 {
		t.Errorf("%d MB", got)
	}
	if got := defaultNIC("Iface\tDestination\tGateway\neth0\t004D0A0A\t00000000\neth1\t00000000\t01004D0A\n"); got != "eth1" {
		t.Errorf("default route by %q", got)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"nvme0n1/size": "209715200\n", "nvme0n1/device/model": "QEMU NVMe Ctrl  \n", "loop0/size": "8\n", "sr0/size": "2\n", "vda/size": "4194304\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []disk{{"nvme0n1", 107, "nvme", "QEMU NVMe Ctrl"}, {"vda", 2, "virtio", ""}}
	if diff := cmp.Diff(want, disksBelow(dir)); diff != "" {
		t.Errorf("disks, -want +got:\n%s", diff)
	}
	here := thisMachine("/")
	if here.cores == 0 || here.memoryMB == 0 {
		t.Errorf("of this machine: %+v", here)
	}
}

// hashOf is a password as openssl writes it for /etc/shadow.
func hashOf(t *testing.T, password string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", "passwd", "-6", "-salt", "saltsalt", password).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
