package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var oneNetwork = []Network{{Name: "br0", Address: netip.MustParsePrefix("10.77.0.1/24")}}

// argsOf is the command line of a spec, one option with its value a string.
func argsOf(t *testing.T, s Spec) []string {
	t.Helper()
	s = s.withDefaults(oneNetwork)
	if err := s.check(oneNetwork); err != nil {
		t.Fatal(err)
	}
	f := files{console: "/d/console.log", vars: "/d/vars.fd", qmpFD: 3, tpmFD: 5}
	for range s.Disks {
		f.disks = append(f.disks, "/d/disk.img")
	}
	for range s.NICs {
		f.taps = append(f.taps, "h1n0")
	}
	args := qemuArgs(s, f, s.order(s.Boot), s.CD)
	var lines []string
	for i := 0; i < len(args); i++ {
		if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			lines = append(lines, args[i]+" "+args[i+1])
			i++
			continue
		}
		lines = append(lines, args[i])
	}
	return lines
}

func TestHostGetsFirmwareAndDevicesOnly(t *testing.T) {
	forbidden := []string{"-kernel", "-initrd", "-append", "-enable-kvm", "-no-reboot", "-no-shutdown", "-snapshot"}
	for _, firmware := range []Firmware{BIOS, UEFI} {
		args := argsOf(t, Spec{Name: "a", Firmware: firmware, NICs: []NIC{{MAC: "52:54:00:00:00:01"}}, Disks: []Disk{{}}})
		for _, a := range args {
			name, _, _ := strings.Cut(a, " ")
			if slices.Contains(forbidden, name) || strings.Contains(a, "guest_agent") {
				t.Errorf("%v host is started with %q", firmware, a)
			}
		}
		if !slices.Contains(args, "-accel tcg") {
			t.Errorf("%v host leaves the accelerator to QEMU: %q", firmware, args)
		}
	}
}

func TestBootOrderGoesToTheDevices(t *testing.T) {
	spec := Spec{
		Name:  "a",
		NICs:  []NIC{{MAC: "52:54:00:00:00:01"}, {MAC: "52:54:00:00:00:02"}},
		Disks: []Disk{{Kind: Virtio}, {Kind: Virtio}},
		CD:    "/x.iso",
	}
	tests := map[string]struct {
		boot []Device
		want []string // the devices with a place, in the order of the command line
	}{
		"network first by default": {nil, []string{"virtio-net-pci=1", "virtio-net-pci=2", "virtio-blk-pci=3", "virtio-blk-pci=4", "ide-cd=5"}},
		"CD, then disk":            {[]Device{FromCD, FromDisk}, []string{"virtio-blk-pci=2", "virtio-blk-pci=3", "ide-cd=1"}},
		"disk alone":               {[]Device{FromDisk}, []string{"virtio-blk-pci=1", "virtio-blk-pci=2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			spec.Boot = tt.boot
			var got []string
			for _, a := range argsOf(t, spec) {
				device, ok := strings.CutPrefix(a, "-device ")
				if _, index, booted := strings.Cut(device, "bootindex="); ok && booted {
					model, _, _ := strings.Cut(device, ",")
					index, _, _ = strings.Cut(index, ",")
					got = append(got, model+"="+index)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDiskSaysWhatItIs(t *testing.T) {
	tests := map[string]struct {
		disk Disk
		want []string
	}{
		"NVMe": {
			Disk{Kind: NVMe, Serial: "S1", WWN: 0x5254001122334455},
			[]string{"-device nvme,id=hd0,serial=S1", "-device nvme-ns,bus=hd0,drive=disk0,eui64=0x5254001122334455"},
		},
		"SATA SSD": {
			Disk{Kind: SATA, Serial: "S1", WWN: 0x5000c50011223344},
			[]string{"-device ide-hd,bus=ide.0,id=hd0,drive=disk0,serial=S1,wwn=0x5000c50011223344,rotation_rate=1,bootindex=1"},
		},
		"spinning SCSI": {
			Disk{Kind: SCSI, Serial: "S1", Rotational: true},
			[]string{"-device virtio-scsi-pci,id=scsi", "-device scsi-hd,bus=scsi.0,scsi-id=0,id=hd0,drive=disk0,serial=S1,rotation_rate=7200,bootindex=1"},
		},
		"virtio": {
			Disk{Kind: Virtio, Serial: "a,b"},
			[]string{"-device virtio-blk-pci,id=hd0,drive=disk0,serial=a,,b,bootindex=1"},
		},
		"behind MegaRAID": {
			Disk{Kind: MegaSAS, Serial: "S1"},
			[]string{"-device megasas-gen2,id=megasas", "-device scsi-hd,bus=megasas.0,scsi-id=0,id=hd0,drive=disk0,serial=S1,rotation_rate=1,bootindex=1"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range argsOf(t, Spec{Name: "a", Disks: []Disk{tt.disk}, Boot: []Device{FromDisk}}) {
				if strings.HasPrefix(a, "-device ") && !strings.Contains(a, "rng") && a != "-device VGA" {
					got = append(got, a)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSpecThatQEMUWouldMisreadIsRefused(t *testing.T) {
	tests := map[string]struct {
		spec Spec
		want string
	}{
		"name with a slash": {Spec{Name: "a/b"}, `host name "a/b"`},
		"bad MAC":           {Spec{Name: "a", NICs: []NIC{{MAC: "52:54"}}}, "host a, NIC 0"},
		"unknown network":   {Spec{Name: "a", NICs: []NIC{{MAC: "52:54:00:00:00:01", Network: "br9"}}}, `no network "br9"`},
		"unknown NIC":       {Spec{Name: "a", NICs: []NIC{{MAC: "52:54:00:00:00:01", Model: "igb"}}}, `model "igb"`},
		"serial cut short":  {Spec{Name: "a", Disks: []Disk{{Serial: strings.Repeat("x", 21)}}}, "longer than 20"},
		"WWN on virtio":     {Spec{Name: "a", Disks: []Disk{{Kind: Virtio, WWN: 1}}}, "no WWN"},
		"BIOS by HTTP":      {Spec{Name: "a", HTTPBoot: true}, "need UEFI"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.spec.withDefaults(oneNetwork).check(oneNetwork)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestBMCStandsOnItsNetworkBesideTheServer(t *testing.T) {
	tests := map[string]struct {
		bmc     string
		refused bool
	}{
		"none":               {"", false},
		"beside the server":  {"10.77.0.250/24", false},
		"the server's own":   {"10.77.0.1/24", true},
		"from another place": {"10.78.0.250/24", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := oneNetwork[0]
			if tt.bmc != "" {
				n.BMC = netip.MustParsePrefix(tt.bmc)
			}
			if err := n.check(); (err != nil) != tt.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDisksOfALabHaveDifferentSerials(t *testing.T) {
	seen := map[string]bool{}
	for _, host := range []string{"LAB-a-host-with-a-very-long-name-1", "LAB-a-host-with-a-very-long-name-2"} {
		for i := range 2 {
			serial := diskSerial(host, i)
			if len(serial) > maxDiskSerial || seen[serial] {
				t.Errorf("disk %d of %s has serial %q: too long or taken", i, host, serial)
			}
			seen[serial] = true
		}
	}
}

func TestOnlyLabsOfDeadProcessesAreStale(t *testing.T) {
	names := []string{
		"muster-lab-10-1", "muster-lab-10-1-wires", "muster-lab-10-1-client2", "muster-lab-10-2",
		"muster-lab-11-1", "muster-lab-11-1-wires", "muster-lab-x-1", "muster-lab-10", "muster-other-10-1",
	}
	got := staleLabs(names, func(pid int) bool { return pid == 11 })
	if diff := cmp.Diff([]string{"muster-lab-10-1", "muster-lab-10-2"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestAResetIsToldFromAPowerOff holds the reasons by which a QEMU that has ended
// is followed by another.
func TestAResetIsToldFromAPowerOff(t *testing.T) {
	for reason, reset := range map[string]bool{
		"guest-reset": true, "host-qmp-system-reset": true, "guest-shutdown": false, "host-signal": false, "guest-panic": false,
	} {
		ours, theirs, err := qmpPair()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(theirs, "{\"event\": \"RESUME\"}\n{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": %q}}\n", reason)
		theirs.Close()
		if got := ours.resetEnded(); got != reset {
			t.Errorf("%s is a reset: %t", reason, got)
		}
		ours.conn.Close()
	}
}

func TestAnswerIsToldFromEvent(t *testing.T) {
	tests := map[string]struct {
		line     string
		answered bool
		refused  bool
	}{
		"answer":  {`{"return": {}}`, true, false},
		"event":   {`{"event": "RESET", "data": {}}`, false, false},
		"refusal": {`{"error": {"class": "GenericError", "desc": "no such device"}}`, false, true},
		"noise":   {`{`, false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answered, err := new(qmp).read([]byte(tt.line))
			if answered != tt.answered || (err != nil) != tt.refused {
				t.Errorf("got %v, %v", answered, err)
			}
		})
	}
}
