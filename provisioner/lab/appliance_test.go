package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// site is the other side of the appliance's calls: it hands out configurations,
// and takes progress reports and registrations.
type site struct {
	config func(host string) string

	mu    sync.Mutex
	calls []string // "GET /config/a", "POST /register/a Bearer token-a"
	said  map[string]map[string]any
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := filepath.Base(r.URL.Path)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")))
	switch {
	case strings.HasPrefix(r.URL.Path, "/config/"):
		io.WriteString(w, s.config(host))
	case strings.HasPrefix(r.URL.Path, "/register/"):
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.said[host] = body
		io.WriteString(w, `{"id":"receipt-of-`+host+`"}`)
	}
}

func (s *site) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c == call {
			n++
		}
	}
	return n
}

// serve runs the site on the lab's server address until the test ends.
func (s *site) serve(t *testing.T, l *Lab) {
	t.Helper()
	var listener net.Listener
	err := l.Server().Do(func() (err error) {
		listener, err = net.Listen("tcp4", "10.77.0.1:80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// serveDHCP runs busybox's DHCP server for the lab's network until the test
// ends. Two seconds of silence before an offer are off: there is nobody else.
func serveDHCP(t *testing.T, l *Lab) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("interface br0\nstart 10.77.0.100\nend 10.77.0.200\noption subnet 255.255.255.0\noption lease 600\nlease_file %s/leases\npidfile %s/pid\n", dir, dir)
	path := filepath.Join(dir, "udhcpd.conf")
	if err := errors.Join(os.WriteFile(path, []byte(config), 0o644), os.WriteFile(dir+"/leases", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	cmd := l.Server().Command(context.Background(), "busybox", "udhcpd", "-f", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// TestApplianceInstallsFromItsCD takes a BIOS and a UEFI host through the whole
// life of the appliance at once: from the CD, with a small configuration on the
// medium that names the URL of the rest, to a disk named by its by-id path, and
// from that disk to the agent's registration.
func TestApplianceInstallsFromItsCD(t *testing.T) {
	needRoot(t)
	iso, err := Appliance()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	l := ForTest(t, oneNetwork...)
	s := &site{said: map[string]map[string]any{}, config: func(host string) string {
		return strings.ReplaceAll(`#cloud-config
hostname: HOST
install:
  auto: true
  device: `+map[string]string{"bios": "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_DISK-bios", "uefi": "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_DISK-uefi"}[host]+`
  poweroff: true
stages:
  kairos-install.pre.before:
    - commands: ["ls -l /dev/disk/by-id"]
  before-install:
    - commands: ["curl -fsS -m 5 -X POST http://10.77.0.1/report/before/HOST"]
  after-install:
    - if: "[ -d /nowhere ]"
      commands: ["curl -fsS -m 5 -X POST http://10.77.0.1/report/never/HOST"]
    - commands: ["curl -fsS -m 5 -X POST -d done=1 http://10.77.0.1/report/after/HOST"]
  network:
    - commands: ["curl -fsS -m 5 --retry 3 -X POST http://10.77.0.1/report/network/HOST"]
callhome:
  url: http://10.77.0.1/register/HOST
  token: token-HOST
`, "HOST", host)
	}}
	s.serve(t, l)
	serveDHCP(t, l)

	hosts := []*Host{
		addCDHost(ctx, t, l, iso, Spec{Name: "bios", Firmware: BIOS, UUID: "4c4c4544-0042-4b10-8056-c4c04f4e3132",
			NICs: []NIC{{MAC: "52:54:00:77:01:01"}}, Disks: []Disk{{Kind: NVMe, Serial: "DISK-bios"}, {Kind: SCSI, GB: 200}}}),
		addCDHost(ctx, t, l, iso, Spec{Name: "uefi", Firmware: UEFI,
			NICs: []NIC{{MAC: "52:54:00:77:01:02"}}, Disks: []Disk{{Kind: SCSI, Serial: "DISK-uefi"}}}),
	}
	var group sync.WaitGroup
	for _, h := range hosts {
		group.Go(func() {
			err := installAndRegister(t, h)
			if err == nil && h.Spec().Firmware == UEFI {
				err = cutPowerAndBoot(t, h)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	for _, h := range hosts {
		host := h.Spec().Name
		for call, want := range map[string]int{
			"POST /report/before/" + host:                      1,
			"POST /report/never/" + host:                       0,
			"POST /report/after/" + host:                       1,
			"POST /register/" + host + " Bearer token-" + host: 1,
		} {
			if got := s.count(call); got != want {
				t.Errorf("%d times %q, want %d", got, call, want)
			}
		}
		// Live: at start-up and by the installer. At each boot from disk: by the
		// network stage and by the agent.
		want := map[string]int{"bios": 4, "uefi": 6}[host]
		if got := s.count("GET /config/" + host); got != want {
			t.Errorf("%s fetched its configuration %d times, want %d", host, got, want)
		}
		if s.count("POST /report/network/"+host) == 0 {
			t.Errorf("%s did not run its network stage", host)
		}
	}
	if got := fmt.Sprint(s.said["bios"]["serial"], " ", s.said["bios"]["uuid"], " ", s.said["bios"]["macs"], " ", s.said["bios"]["hostname"], " ", s.said["bios"]["agent"]); got != "LAB-bios 4c4c4544-0042-4b10-8056-c4c04f4e3132 [52:54:00:77:01:01] bios muster-demo-agent/1" {
		t.Errorf("the agent said %s", got)
	}
}

// addCDHost adds a host whose CD carries the name of its configuration, and
// whose firmware falls back to the CD while the disks are empty.
func addCDHost(ctx context.Context, t *testing.T, l *Lab, iso string, s Spec) *Host {
	t.Helper()
	dir := t.TempDir()
	seed := filepath.Join(dir, "seed.yaml")
	text := fmt.Sprintf("#cloud-config\nconfig_url: http://10.77.0.1/config/%s\n", s.Name)
	if err := os.WriteFile(seed, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s.CD = filepath.Join(dir, "install.iso")
	s.Boot = []Device{FromDisk, FromCD}
	remaster := exec.CommandContext(ctx, "xorriso", "-indev", iso, "-outdev", s.CD, "-map", seed, "/zz_seed.yaml", "-boot_image", "any", "replay")
	if out, err := remaster.CombinedOutput(); err != nil {
		t.Fatalf("put the configuration on the medium: %v\n%s", err, out)
	}
	h, err := l.AddHost(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// installAndRegister follows one host to its registration.
func installAndRegister(t *testing.T, h *Host) error {
	if err := boot(t, h, "installed", "] done, poweroff", "] FAILED", "] NOT installing"); err != nil {
		return err
	}
	off, cancel := context.WithTimeout(t.Context(), bootDeadline)
	defer cancel()
	if err := h.WaitOff(off); err != nil {
		return err
	}
	return boot(t, h, "registered", `registered: {"id":"receipt-of-`, "not registered yet")
}

// cutPowerAndBoot takes the power from a host that has just said that it is
// registered; it must still know at its next boot.
func cutPowerAndBoot(t *testing.T, h *Host) error {
	if err := h.PowerOff(t.Context()); err != nil {
		return err
	}
	return boot(t, h, "up again", "registered at an earlier boot", "registered: {")
}

// bootDeadline is five times what a boot takes on an idle machine.
const bootDeadline = 3 * time.Minute

// boot powers the host on, however long it takes to get a QEMU slot, and waits
// until its console shows the text.
func boot(t *testing.T, h *Host, end, text string, unless ...string) error {
	if err := h.PowerOn(t.Context()); err != nil {
		return err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), bootDeadline)
	defer cancel()
	err := h.WaitConsole(ctx, text, unless...)
	t.Logf("%s: from power-on to %s: %.1f s", h.Spec().Name, end, time.Since(start).Seconds())
	return err
}
