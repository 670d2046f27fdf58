package survey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/bmctest"
)

// tree is a BMC of resources.
type tree struct {
	about     redfish.About
	resources map[string]redfish.Object
}

func (t tree) About() redfish.About { return t.about }

func (t tree) Get(_ context.Context, path string) (redfish.Object, error) {
	o, ok := t.resources[path]
	if !ok {
		return nil, errors.New("nothing at " + path)
	}
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var read redfish.Object
	err = dec.Decode(&read)
	return read, err
}

func (t tree) Members(ctx context.Context, path string) ([]string, error) {
	o, err := t.Get(ctx, path)
	return o.Links("Members"), err
}

func ref(path string) map[string]any { return map[string]any{"@odata.id": path} }

func members(paths ...string) redfish.Object {
	var list []any
	for _, p := range paths {
		list = append(list, ref(p))
	}
	return redfish.Object{"Members": list}
}

var at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func now() time.Time { return at }

func TestTheTrapsOfRealTrees(t *testing.T) {
	absent := map[string]any{"State": "Absent"}
	b := tree{redfish.About{System: "/s", Managers: []string{"/m"}, TagIsSKU: true}, map[string]redfish.Object{
		"/s": {
			"Manufacturer": "Dell Inc.", "Model": "R750", "SerialNumber": "CNIVC0001", "SKU": "7ABC123", "UUID": "4c4c4544-0041-4210-8043-b7c04f333233", "BiosVersion": "1.2",
			"Processors": ref("/p"), "Memory": ref("/d"), "EthernetInterfaces": ref("/e"), "Storage": ref("/st"), "SecureBoot": ref("/sb"),
			"Links": map[string]any{"Chassis": []any{ref("/c")}}, "TrustedModules": []any{map[string]any{"InterfaceType": "TPM2_0"}},
		},
		"/p": members("/p/10", "/p/2", "/p/gpu"), "/p/2": {"Socket": "CPU.1", "Model": "Xeon", "TotalCores": "16", "TotalThreads": 32, "ProcessorType": "CPU"},
		"/p/10": {"Id": "CPU.2", "Status": absent}, "/p/gpu": {"ProcessorType": "GPU", "Model": "H100"},
		"/d": members("/d/A2", "/d/A1"), "/d/A1": {"DeviceLocator": "A1", "CapacityMiB": 16384, "MemoryDeviceType": "DDR4", "OperatingSpeedMhz": 3200.0, "SerialNumber": "D1"},
		"/d/A2": {"DeviceLocator": "A2", "CapacityMiB": 0, "Status": absent},
		"/e":    members("/e/1", "/e/ToManager"), "/e/1": {"Id": "NIC.1", "MACAddress": "B0:7B:25:00:00:01", "LinkStatus": "LinkUp", "SpeedMbps": 25000}, "/e/ToManager": {"Id": "ToManager", "MACAddress": "B0:7B:25:00:00:99"},
		"/st": members("/st/1", "/st/2", "/st/gone"), "/st/1": {"Drives": []any{ref("/dr/1")}}, "/st/2": {"Drives": []any{ref("/dr/1"), ref("/dr/2")}},
		"/dr/1": {"Id": "Disk.1", "Model": "PM9A3", "SerialNumber": "S1", "CapacityBytes": 960197124096, "MediaType": "SSD", "Protocol": "NVMe"},
		"/dr/2": {"Id": "Disk.2", "Status": absent}, "/sb": {"SecureBootCurrentBoot": "Enabled"},
		"/c": {"SerialNumber": "chassis"}, "/m": {"DateTime": "2026-11-22T11:00:00+00:00", "EthernetInterfaces": ref("/me")},
		"/me": members("/me/1"), "/me/1": {"PermanentMACAddress": "b07b25000077", "IPv4Addresses": []any{map[string]any{"Address": "192.0.2.7"}}},
	}}
	got, err := Read(t.Context(), b, now)
	if err != nil {
		t.Fatal(err)
	}
	want := inventory.Report{
		Witness: inventory.BMC, At: at,
		System:   inventory.System{Manufacturer: "Dell Inc.", Product: "R750", Serial: "7ABC123", SKU: "7ABC123", UUID: "4c4c4544-0041-4210-8043-b7c04f333233"},
		Board:    inventory.Board{Serial: "CNIVC0001"},
		Firmware: inventory.Firmware{Version: "1.2", SecureBoot: new(true)},
		CPUs:     []inventory.CPU{{Slot: "CPU.1", Model: "Xeon", Cores: 16, Threads: 32}},
		DIMMs:    []inventory.DIMM{{Slot: "A1", Size: 16 << 30, Type: "DDR4", MTs: 3200, Serial: "D1"}, {Slot: "A2"}},
		Memory:   16 << 30,
		Disks:    []inventory.Disk{{Name: "Disk.1", Model: "PM9A3", Serial: "S1", Size: 960197124096, Transport: "nvme", Rotational: new(false)}},
		NICs:     []inventory.NIC{{Name: "NIC.1", MAC: "b0:7b:25:00:00:01", SpeedMbps: 25000, Link: new(true)}},
		TPM:      &inventory.TPM{Version: "2.0"},
		BMC:      &inventory.Controller{Present: true, Via: "redfish", MAC: "b0:7b:25:00:00:77", Address: "192.0.2.7"},
		Clock:    &inventory.Clock{SkewSeconds: -3600},
		Problems: []string{"the BMC did not show a part: nothing at /st/gone"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASystemThatSaysNothingIsNamedByItsChassis(t *testing.T) {
	b := tree{redfish.About{System: "/s"}, map[string]redfish.Object{
		"/s": {"SerialNumber": "   ", "UUID": "", "MemorySummary": map[string]any{"TotalSystemMemoryGiB": 8.0}, "Links": map[string]any{"Chassis": []any{ref("/c")}}},
		"/c": {"Manufacturer": "NVIDIA", "Model": "GB200", "SerialNumber": "1234"},
	}}
	got, err := Read(t.Context(), b, now)
	want := inventory.System{Manufacturer: "NVIDIA", Product: "GB200", Serial: "1234"}
	if err != nil || got.System != want || got.Memory != 8<<30 || got.TPM != nil || len(got.Problems) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDrivesThatOnlyTheChassisListsAreCounted has them as Supermicro and as the
// standard lists them, one both ways.
func TestDrivesThatOnlyTheChassisListsAreCounted(t *testing.T) {
	b := tree{redfish.About{System: "/s"}, map[string]redfish.Object{
		"/s": {"SerialNumber": "X1", "Links": map[string]any{"Chassis": []any{ref("/c")}}},
		"/c": {"Drives": ref("/c/d"), "Links": map[string]any{"Drives": []any{ref("/dr/1"), ref("/dr/2")}}}, "/c/d": members("/dr/2", "/dr/3"),
		"/dr/1": {"Id": "1", "SerialNumber": "S1"}, "/dr/2": {"Id": "2", "SerialNumber": "S2"}, "/dr/3": {"Id": "3", "SerialNumber": "S3"},
	}}
	report, err := Read(t.Context(), b, now)
	var serials []string
	for _, d := range report.Disks {
		serials = append(serials, d.Serial)
	}
	if got := strings.Join(serials, " "); err != nil || got != "S1 S2 S3" {
		t.Errorf("it counts %q, %v", got, err)
	}
}

func TestNoSystemIsAnError(t *testing.T) {
	if _, err := Read(t.Context(), tree{}, now); err == nil {
		t.Error("a report of nothing")
	}
}

// TestEveryPersonalityIsRead compares what is read of an emulated BMC with the
// machine behind it.
func TestEveryPersonalityIsRead(t *testing.T) {
	for _, name := range bmctest.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, machine := readPersonality(t, name)
			t.Logf("problems: %q", got.Problems)
			if len(got.CPUs) != len(machine.CPUs) {
				t.Errorf("%d CPUs, the machine has %d: %+v", len(got.CPUs), len(machine.CPUs), got.CPUs)
			}
			var mib inventory.Bytes
			for _, d := range machine.DIMMs {
				mib += inventory.Bytes(d.MiB)
			}
			if got.Memory != mib<<20 {
				t.Errorf("%d bytes of memory, the machine has %d MiB", got.Memory, mib)
			}
			macs := map[string]bool{}
			for _, n := range machine.NICs {
				macs[strings.ToLower(n.MAC)] = true
			}
			for _, n := range got.NICs {
				if !macs[n.MAC] {
					t.Errorf("a NIC %+v that the machine has not", n)
				}
			}
			if id := got.System; id.Serial != "" && id.Serial != machine.Serial && id.SKU != machine.Serial {
				t.Errorf("serial %q, the machine's is %q", got.System.Serial, machine.Serial)
			}
			if len(got.Disks) > len(machine.Disks) {
				t.Errorf("%d disks, the machine has %d", len(got.Disks), len(machine.Disks))
			}
		})
	}
}

func readPersonality(t *testing.T, name string) (inventory.Report, bmctest.Identity) {
	t.Helper()
	const second = 15 * time.Millisecond
	p, err := bmctest.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	machine := p.Identity(3)
	e, err := bmctest.Start(bmctest.Options{Personality: p, Second: second, Machine: bmctest.NewPaper(bmctest.PaperOptions{Identity: machine, Second: second})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	b, err := redfish.Connect(t.Context(), redfish.Target{Address: e.URL(), User: e.User(), Password: redfish.Secret(e.Password()), NewPassword: "changed-secret-16"}, redfish.Options{Pace: redfish.Pace{Poll: second, Busy: second}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	report, err := Read(t.Context(), b, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return report, machine
}
