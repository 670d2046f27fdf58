package lab

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/redfish/bmctest"
)

// quick is a second of a BMC in tests that wait for it.
const quick = 100 * time.Millisecond

// station is a place on the lab's network from which people ask a BMC.
func station(t *testing.T, l *Lab) *Namespace {
	t.Helper()
	ns, err := l.Client(t.Context(), l.networks[0].Name, netip.MustParsePrefix("10.77.0.9/24"))
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// bmcHost is a host whose disk says that it runs, behind a BMC.
func bmcHost(personality string, address string) Spec {
	s := haltingHost()
	s.Name, s.BMC = "driven", &BMC{Personality: personality, Address: netip.MustParseAddr(address), Second: quick}
	return s
}

// awaitState waits until the BMC's state is as wanted.
func awaitState(ctx context.Context, t *testing.T, e *bmctest.Emulator, what string, ok func(bmctest.State) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok(e.State()) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s; the BMC had problems %q, boots %v", what, e.Problems(), e.Boots())
		case <-tick.C:
		}
	}
}

// TestSushyBootsAHostFromItsMedium has a client that knows neither muster nor
// this emulator take a real host from power-off to the system on an ISO, which
// the BMC reads by ranges from a server in the lab. The override holds for that
// boot: redfishtool's reset then brings up the disk.
func TestSushyBootsAHostFromItsMedium(t *testing.T) {
	needRoot(t)
	iso, err := Appliance()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	l := ForTest(t, oneNetwork...)
	media := serveMedia(t, l, filepath.Dir(iso))
	spec := bmcHost("supermicro-x11", "10.77.0.31")
	spec.MemoryMiB, spec.Firmware, spec.Disks = 1024, UEFI, []Disk{{Kind: Virtio, GB: 1}}
	h, err := l.AddHost(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	out, err := station(t, l).Command(ctx, "/usr/bin/python3", "../../redfish/bmctest/testdata/sushy_boot.py", "--leave",
		h.BMC().URL(), h.BMC().User(), h.BMC().Password(), "http://10.77.0.1/media/"+filepath.Base(iso)).CombinedOutput()
	if err != nil {
		t.Fatalf("python3-sushy (is it installed? run make lab): %v\n%s", err, out)
	}
	want := []string{"serial LAB-driven", "power Off", "inserted True", "override UsbCd Once", "on"}
	if got := strings.Split(strings.TrimSpace(string(out)), "\n"); !slices.Equal(got, want) {
		t.Fatalf("sushy said %q", got)
	}
	if err := h.WaitConsole(ctx, "devices are known"); err != nil {
		t.Fatal(err)
	}
	if _, enabled, _ := h.BMC().Override(); enabled != "Disabled" {
		t.Errorf("the override is %s after the boot that it was for", enabled)
	}
	if whole := slices.IndexFunc(media.requests(), func(r *http.Request) bool { return r.Method == http.MethodGet && r.Header.Get("Range") == "" }); whole >= 0 {
		t.Error("the BMC downloaded the whole image")
	}
	if from := media.requests()[0].RemoteAddr; !strings.HasPrefix(from, "10.77.0.31:") {
		t.Errorf("the image was read from %s, not from the BMC's address", from)
	}
	checkTool(ctx, t, l, h)
}

// checkTool has redfishtool list and reset the host, which then does not boot
// its medium: nothing orders it any more, and the medium comes last.
func checkTool(ctx context.Context, t *testing.T, l *Lab, h *Host) {
	t.Helper()
	if got := redfishtool(ctx, t, l, h, "Systems", "list"); !strings.Contains(got, "/redfish/v1/Systems/1") {
		t.Errorf("redfishtool lists %s", got)
	}
	redfishtool(ctx, t, l, h, "Systems", "-1", "reset", "ForceRestart")
	awaitState(ctx, t, h.BMC(), "a second boot", func(s bmctest.State) bool { return len(s.Boots) == 2 && !s.Moving })
	if got := h.BMC().Boots()[1].Device; got != bmctest.FirmwareOrder {
		t.Errorf("the second boot is ordered to be %q", got)
	}
	redfishtool(ctx, t, l, h, "Systems", "-1", "reset", "ForceOff")
	if err := h.WaitOff(ctx); err != nil {
		t.Error(err)
	}
	awaitState(ctx, t, h.BMC(), "the end of the change", func(s bmctest.State) bool { return !s.Moving })
	if got := redfishtool(ctx, t, l, h, "Systems", "-1", "get", "-P", "PowerState"); !strings.Contains(got, "Off") {
		t.Errorf("the power is %s", got)
	}
}

func redfishtool(ctx context.Context, t *testing.T, l *Lab, h *Host, args ...string) string {
	t.Helper()
	b := h.BMC()
	all := append([]string{"-r", strings.TrimPrefix(b.URL(), "http://"), "-u", b.User(), "-p", b.Password(), "-S", "Never", "-A", "Basic"}, args...)
	out, err := station(t, l).Command(ctx, "redfishtool", all...).CombinedOutput()
	if err != nil {
		t.Fatalf("redfishtool %q (is it installed? run make lab): %v\n%s", args, err, out)
	}
	return string(out)
}

// A boot sector that says that it runs and then resets its host, by the keyboard
// controller.
var resetSystem = []byte{0xb0, 0xfe, 0xe6, 0x64, 0xf4} // mov al,0xfe; out 0x64,al; hlt

// TestAnOverrideIsUsedUpByTheBootNotByTheRequest boots a host from a medium whose
// system resets it: the disk must come up then, the medium still in the drive.
// Where the medium cannot be read, the boot that was ordered finds none.
func TestAnOverrideIsUsedUpByTheBootNotByTheRequest(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := ForTest(t, oneNetwork...)
	cd := bootableCD(t, "CD is up", resetSystem)
	serveMedia(t, l, filepath.Dir(cd))
	h, err := l.AddHost(ctx, bmcHost("lenovo-sr655", "10.77.0.31"))
	if err != nil {
		t.Fatal(err)
	}
	writeSector(t, h, bootSector(sayUp, halt))
	c := newAsker(t, l, h)
	c.ask("POST", "/Managers/Self/VirtualMedia/CD1/Actions/VirtualMedia.InsertMedia",
		`{"Image": "http://10.77.0.1/media/cd.iso", "TransferProtocolType": "HTTP"}`)
	for _, step := range []struct {
		reset string
		once  bool
		never bool
		shows []string
	}{
		{"On", true, false, []string{"CD is up", "lab host is up"}},
		{"ForceRestart", false, false, []string{"lab host is up"}},
		{"ForceRestart", true, false, []string{"CD is up", "lab host is up"}},
		{"ForceRestart", true, true, []string{"lab host is up"}},
	} {
		if step.once {
			c.ask("PATCH", "/Systems/Self", `{"Boot": {"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once", "BootSourceOverrideMode": "Legacy"}}`)
		}
		if step.never {
			if err := h.BMC().Fail(bmctest.Fault{Kind: bmctest.FaultMediaNever}); err != nil {
				t.Fatal(err)
			}
		}
		c.ask("POST", "/Systems/Self/Actions/ComputerSystem.Reset", `{"ResetType": "`+step.reset+`"}`)
		awaitState(ctx, t, h.BMC(), "the reset", func(s bmctest.State) bool { return s.On && !s.Moving })
		for _, text := range step.shows {
			other := map[string]string{"CD is up": "lab host is up", "lab host is up": "CD is up"}[text]
			if err := h.WaitConsole(ctx, text, other); err != nil {
				t.Fatalf("%+v: %v; booted %v, problems %q", step, err, h.BMC().Boots(), h.BMC().Problems())
			}
		}
	}
	c.ask("POST", "/Systems/Self/Actions/ComputerSystem.Reset", `{"ResetType": "ForceOff"}`)
	if err := h.WaitOff(ctx); err != nil {
		t.Error(err)
	}
}

// asker asks a host's BMC in the plainest way.
type asker struct {
	t      *testing.T
	bmc    *bmctest.Emulator
	client http.Client
}

func newAsker(t *testing.T, l *Lab, h *Host) asker {
	t.Helper()
	seat, err := l.Seat(t.Context(), "", netip.MustParseAddr("10.77.0.8"))
	if err != nil {
		t.Fatal(err)
	}
	return asker{t, h.BMC(), http.Client{Transport: &http.Transport{DialContext: seat.Dial}}}
}

func (a asker) ask(method, path, body string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.bmc.URL()+"/redfish/v1"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.SetBasicAuth(a.bmc.User(), a.bmc.Password())
	r.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(resp.Body) // as far as it comes
		a.t.Fatalf("%s %s: %s\n%s", method, path, resp.Status, text)
	}
}

// TestABMCTellsWhatTheFirmwareTells holds one identity for both, and that a lie
// makes them differ.
func TestABMCTellsWhatTheFirmwareTells(t *testing.T) {
	spec := bmcHost("openbmc", "10.77.0.31").withDefaults(oneNetwork)
	args := strings.Join(smbiosArgs(spec), "\n")
	id := identity(spec)
	for _, part := range []string{
		"manufacturer=" + id.Manufacturer, "product=" + id.Product, "serial=" + id.Serial, "sku=" + id.SKU,
		"serial=" + id.BoardSerial, "serial=" + id.DIMMs[0].Serial, "version=" + id.CPUs[0].Model,
	} {
		if !strings.Contains(args, part) {
			t.Errorf("the firmware does not say %s:\n%s", part, args)
		}
	}
	if diff := cmp.Diff([]bmctest.Disk{{Serial: "LAB-driven-D0", Bytes: 1e9}}, id.Disks); diff != "" {
		t.Errorf("disks, -want +got:\n%s", diff)
	}
}
