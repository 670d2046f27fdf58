package recipe

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// values are those of a host that is about to be installed.
func values() Values {
	const base = "http://10.1.0.5:8067/a/tok"
	return Values{
		Site:    Site{Name: "plant7", TimeZone: "Europe/Berlin", Values: map[string]string{"mirror": "deb.example.org", "ntp": "10.1.0.3"}},
		Order:   Order{Name: "rack4"},
		Host:    Identity{ID: "h-7q2mk4xw", Name: "rack4-u12", Serial: "S1", UUID: "4c4c4544-0035-3210-804d-b7c04f4e3233", MACs: []string{"52:54:00:00:00:12"}},
		Attempt: "a-9",
		Disk:    Target{ByID: "nvme-QEMU_NVMe_Ctrl_S1", Serial: "S1", Model: "QEMU NVMe Ctrl", Bytes: 100 << 30},
		NICs:    []NIC{{Name: "ens1", MAC: "52:54:00:00:00:12", Driver: "virtio_net", Booted: true}, {Name: "ens2", MAC: "52:54:00:00:00:13", Driver: "e1000e"}},
		Secrets: map[string]string{"hash": "$6$salt$HASH", "token": "t0ken"},
		After:   "poweroff",
		URL: URLs{Config: base + "/config", Seed: base + "/seed", Early: base + "/step/early", Writing: base + "/writing",
			Written: base + "/written", Booted: base + "/booted", PhoneHome: base + "/phone", Report: base + "/report", Register: base + "/register"},
		Handoff: map[string]any{"callhome": map[string]any{"url": base + "/register", "token": "tok"}},
	}
}

// named is a family that muster brings.
func named(t *testing.T, name string) Recipe {
	t.Helper()
	r, ok := Builtin().Find(name)
	if !ok {
		t.Fatalf("muster brings no family %s", name)
	}
	return r
}

// userData is what Kairos reads.
func userData(v Values, s Source) ([]byte, error) {
	r, _ := Builtin().Find("kairos")
	out, err := r.Render(v, s)
	if err != nil {
		return nil, err
	}
	return out.Documents[0].Content, nil
}

func TestMusterIsAskedBeforeWhatAnOrderDoesInTheSameStage(t *testing.T) {
	wipe := map[string]any{"name": "wipe", "commands": []any{"wipefs -a /dev/sda"}}
	data, err := userData(values(), Source{Config: map[string]any{"stages": map[string]any{asking: []any{wipe}}}})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Stages map[string][]struct{ Name string }
	}
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if s := got.Stages[asking]; len(s) != 2 || s[0].Name != "ask muster whether the disk may be written" || s[1].Name != "wipe" {
		t.Errorf("the stage is %+v", s)
	}
}

// TestADisksNameIsNoComment has shlex, which reads kickstarts, split the lines
// that name the disk.
func TestADisksNameIsNoComment(t *testing.T) {
	v := values()
	v.Disk = Target{ByID: "ata-odd#1"}
	document := rendered(t, "anaconda", MainDocument, v, orders[Kickstart])
	said := peer(t, document, "python3", "-c", "import shlex, sys\nfor line in open(sys.argv[1]):\n if line.startswith(('ignoredisk', 'clearpart', 'bootloader')): print(shlex.split(line, comments=True)[-1])")
	const want = "--only-use=/dev/disk/by-id/ata-odd#1\n--drives=/dev/disk/by-id/ata-odd#1\n--boot-drive=/dev/disk/by-id/ata-odd#1\n"
	if !strings.HasSuffix(said, want) {
		t.Errorf("got %q, want %q at its end", said, want)
	}
	if _, err := named(t, "anaconda").Render(values(), Source{Template: "user --name={{.Secrets.odd}}"}); err == nil {
		t.Error("a value that is not there was taken")
	}
	v.Secrets["odd"] = "a#b"
	if _, err := named(t, "anaconda").Render(v, Source{Template: "user --name={{.Secrets.odd}}"}); err == nil || !strings.Contains(err.Error(), "put shell before it") {
		t.Errorf("a comment in a value gives %v", err)
	}
}

func TestUserDataSaysEverythingTheInstallerNeeds(t *testing.T) {
	got, err := userData(values(), Source{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `#cloud-config
{
  "callhome": {
    "token": "tok",
    "url": "http://10.1.0.5:8067/a/tok/register"
  },
  "hostname": "rack4-u12",
  "install": {
    "auto": true,
    "device": "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1",
    "poweroff": true,
    "reboot": false
  },
  "stages": {
    "after-install": [
      {
        "commands": [
          "curl -fsS -m 10 --retry 60 --retry-delay 5 --retry-connrefused --retry-max-time 300 -X POST http://10.1.0.5:8067/a/tok/written || true"
        ],
        "name": "tell muster that the installer is done"
      }
    ],
    "kairos-install.pre.before": [
      {
        "commands": [
          "curl -fsS -m 10 --retry 60 --retry-delay 5 --retry-connrefused --retry-max-time 300 -X POST http://10.1.0.5:8067/a/tok/writing || { echo 'muster does not let this installation write to the disk; powering off'; while :; do poweroff -f; sleep 60; done; }"
        ],
        "name": "ask muster whether the disk may be written"
      }
    ],
    "network": [
      {
        "commands": [
          "curl -fsS -m 10 --retry 6 --retry-delay 5 --retry-connrefused --retry-max-time 30 -X POST http://10.1.0.5:8067/a/tok/booted || true"
        ],
        "if": "[ ! -e /run/cos/live_mode ]",
        "name": "tell muster that the installed system is up"
      }
    ]
  }
}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUserDataMergesTheOrdersConfigUnderOurs(t *testing.T) {
	v := values()
	v.After, v.URL = "reboot", URLs{Written: "http://h/done"}
	config := map[string]any{
		"stylus":   map[string]any{"site": map[string]any{"tags": map[string]any{"site": "plant7"}}, "debug": true},
		"install":  map[string]any{"grub_options": map[string]any{"extra_cmdline": "fips=1"}},
		"callhome": map[string]any{"url": "http://elsewhere", "note": "kept"},
		"stages":   map[string]any{"after-install": []any{map[string]any{"commands": []any{"sync"}}}, "boot": nil},
	}
	data, err := userData(v, Source{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"hostname": "rack4-u12",
		"stylus":   map[string]any{"site": map[string]any{"tags": map[string]any{"site": "plant7"}}, "debug": true},
		"install": map[string]any{"grub_options": map[string]any{"extra_cmdline": "fips=1"},
			"auto": true, "device": "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1", "poweroff": false, "reboot": true},
		"callhome": map[string]any{"url": "http://10.1.0.5:8067/a/tok/register", "token": "tok", "note": "kept"},
		"stages": map[string]any{"boot": nil, "after-install": []any{
			map[string]any{"commands": []any{"sync"}},
			map[string]any{"name": "tell muster that the installer is done", "commands": []any{"curl -fsS -m 10 --retry 60 --retry-delay 5 --retry-connrefused --retry-max-time 300 -X POST http://h/done || true"}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(config["stages"].(map[string]any)["after-install"].([]any)) != 1 {
		t.Error("the order's config was changed")
	}
}

// TestUserDataKeepsEveryText reads back with the parser that muster has, and
// with one of YAML 1.1, because installers use either. It names the system's
// Python: that is the one whose YAML module `make lab` installs.
func TestUserDataKeepsEveryText(t *testing.T) {
	texts := []any{"on", "no", "yes", "y", "null", "~", "1e3", "0x1f", "0o17", "012", "1:20", "2026-01-01", "- a", "#x", "a: b",
		"'", `"`, "a\nb\n", "@x", "%x", "`x", "true ", "=", "<<", " lead", "tab\t", "é", "😀", "!x", "&a", "*a", "{a}", "[a]", "? x",
		"|", ">", "1_000", "", "a #b", `C:\x`, "\a", "\u2028", "$6$HASH", "<&>"}
	v, config := values(), map[string]any{"texts": texts}
	for _, text := range texts {
		config["key "+text.(string)] = text
	}
	data, err := userData(v, Source{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	check := func(reader string, got map[string]any) {
		for key, want := range config {
			if diff := cmp.Diff(want, got[key]); diff != "" {
				t.Errorf("%s changed %q (-want +got):\n%s", reader, key, diff)
			}
		}
	}
	var got map[string]any
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	check("goccy", got)

	python := exec.Command("/usr/bin/python3", "-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin.buffer), sys.stdout)")
	python.Stdin = strings.NewReader(string(data))
	out, err := python.Output()
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("read with python3-yaml: %v: run make lab", err)
		}
		t.Skipf("no second YAML parser here: %v", err)
	}
	got = nil
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	check("python3-yaml", got)
}

// TestCallsOutlastARestartOfTheServer runs the call of the end of an
// installation with the real curl while nobody listens, and starts the server
// once curl has been refused. The pauses are made short; all else is as served.
func TestCallsOutlastARestartOfTheServer(t *testing.T) {
	address, listen := heldPort(t)
	data, err := userData(values(), Source{})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Stages map[string][]struct{ Commands []string }
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	step := doc.Stages["after-install"][0].Commands[0]
	step = strings.NewReplacer("10.1.0.5:8067", address, "--retry-delay 5", "--retry-delay 1", "-fsS", "-fsSv").Replace(step)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", step)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "refused") {
	}
	called := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.Method + " " + r.URL.Path }))
	server.Listener.Close()
	server.Listener = listen()
	server.Start()
	defer server.Close()
	if _, err := io.Copy(io.Discard, said); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-called:
		if got != "POST /a/tok/written" {
			t.Errorf("called with %s", got)
		}
	default:
		t.Error("a refused connection was curl's last try")
	}
}

// heldPort is a TCP port of loopback that refuses calls until listen, and that
// nobody else can take before.
func heldPort(t *testing.T) (address string, listen func() net.Listener) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(fd), "held port")
	t.Cleanup(func() { socket.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port), func() net.Listener {
		if err := syscall.Listen(fd, syscall.SOMAXCONN); err != nil {
			t.Fatal(err)
		}
		l, err := net.FileListener(socket)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

func TestUserDataKeepsWholeNumbersThatWentThroughJSON(t *testing.T) {
	v, config := values(), map[string]any{}
	if err := json.Unmarshal([]byte(`{"stylus": {"localUI": {"port": 5080}}}`), &config); err != nil {
		t.Fatal(err)
	}
	data, err := userData(v, Source{Config: config})
	if err != nil || !strings.Contains(string(data), `"port": 5080`+"\n") {
		t.Errorf("port was rendered otherwise, error %v:\n%s", err, data)
	}
}

func TestUserDataRefusesWhatCouldBreakOut(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Values, *Source)
		want   string
	}{
		{"host name", func(v *Values, _ *Source) { v.Host.Name = "a;reboot" }, `host name: "a;reboot" may not hold ";"`},
		{"no host name", func(v *Values, _ *Source) { v.Host.Name = "" }, "host name: the value is empty"},
		{"no disk", func(v *Values, _ *Source) { v.Disk.ByID = "" }, "disk: the value is empty"},
		{"a path as disk", func(v *Values, _ *Source) { v.Disk.ByID = "../sda" }, `disk: "../sda" may not hold "/"`},
		{"two disks", func(v *Values, _ *Source) { v.Disk.Path = "/dev/sda" }, `disk: "/dev/sda" is not nvme-QEMU_NVMe_Ctrl_S1`},
		{"a command in a URL", func(v *Values, _ *Source) { v.URL.Booted = "http://x/$(reboot)" }, `may not hold "$"`},
		{"no URL", func(v *Values, _ *Source) { v.URL.Written = "file:///x" }, "is not an http URL"},
		{"an end of another kind", func(v *Values, _ *Source) { v.After = "halt" }, `after: "halt" is not one of`},
		{"an address that is a name", func(v *Values, _ *Source) { v.Network.Address = "host" }, `"host" is no IP address`},
		{"config sets the disk", func(_ *Values, s *Source) { s.Config = map[string]any{"install": map[string]any{"device": "auto"}} },
			"config: muster decides install.device for each host"},
		{"a template sets the disk", func(_ *Values, s *Source) { s.Template = "#cloud-config\ninstall: {device: auto}" },
			"template: muster decides install.device for each host"},
		{"config sets the host name", func(_ *Values, s *Source) { s.Config = map[string]any{"hostname": "x"} }, "config: hostname comes from the manifest"},
		{"config has install as a word", func(_ *Values, s *Source) { s.Config = map[string]any{"install": "now"} }, "config: install must be a map"},
		{"config has a stage as a map", func(_ *Values, s *Source) {
			s.Config = map[string]any{"stages": map[string]any{"network": map[string]any{"commands": []any{}}}}
		}, "config: stages.network must be a list"},
		{"config is huge", func(_ *Values, s *Source) { s.Config = map[string]any{"x": strings.Repeat("x", maxUserData)} }, "installers read at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, s := values(), Source{}
			tt.change(&v, &s)
			if data, err := userData(v, s); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %d bytes, %v, want an error with %q", len(data), err, tt.want)
			}
		})
	}
}

func TestInertUserDataIsReadButSaysNothing(t *testing.T) {
	var got map[string]any
	if err := yaml.Unmarshal(Inert(), &got); err != nil || len(got) != 0 || !strings.HasPrefix(string(Inert()), "#cloud-config\n") {
		t.Errorf("inert user-data reads as %v, %v", got, err)
	}
}
