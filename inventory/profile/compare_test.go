package profile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
)

// good is a host that edge-minimum accepts: a virtual one with 8 GiB.
func good() inventory.Report {
	return inventory.Report{
		Witness:  inventory.Scout,
		System:   inventory.System{Manufacturer: "QEMU", Product: "Standard PC", Serial: "LAB-1"},
		Firmware: inventory.Firmware{Mode: "uefi", SecureBoot: new(bool)},
		CPUs:     []inventory.CPU{{Slot: "CPU 0", Model: "m", Cores: 1}, {Slot: "CPU 1", Model: "m", Cores: 1}},
		DIMMs:    []inventory.DIMM{{Slot: "A1", Size: 8 * gib}, {Slot: "A2"}},
		Memory:   8_236_000_000, // 7.67 GiB
		Disks:    []inventory.Disk{ssd("nvme0n1", "S1", 107_374_182_400)},
		NICs:     []inventory.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", Link: is(true), SpeedMbps: 1000}},
	}
}

func ssd(name, serial string, size inventory.Bytes) inventory.Disk {
	return inventory.Disk{Name: name, Serial: serial, Size: size, ByID: []string{"nvme-x_" + serial, "nvme-eui." + serial},
		Rotational: is(false), Signatures: []string{}}
}

func is(b bool) *bool { return &b }

func edgeMinimum(t *testing.T) Profile {
	t.Helper()
	p, ok := Builtin("edge-minimum")
	if !ok {
		t.Fatal("no profile edge-minimum")
	}
	return p
}

func TestEdgeMinimumJudges(t *testing.T) {
	tests := []struct {
		name   string
		change func(*inventory.Report)
		want   []string // sentences; a finding that does not block begins with "(note) "
	}{
		{"a host as ordered", func(*inventory.Report) {}, nil},
		{"too little memory, by DIMM", func(r *inventory.Report) {
			r.DIMMs[0].Size, r.Memory = 2*gib, 2_000_000_000
		}, []string{"Memory: expected at least 8 GiB, found 2 GiB (A1 2 GiB, A2 empty). Fit or reseat memory as ordered and boot the host again."}},
		{"no DIMMs seen, enough usable", func(r *inventory.Report) { r.DIMMs = nil }, nil},
		{"no DIMMs seen, too little usable", func(r *inventory.Report) {
			r.DIMMs, r.Memory = nil, 6*gib
		}, []string{"Memory: expected at least 8 GiB (7.5 GiB usable), found 6 GiB usable. Fit or reseat memory as ordered and boot the host again."}},
		{"no memory seen at all", func(r *inventory.Report) {
			r.DIMMs, r.Memory = nil, 0
		}, []string{"Memory: expected at least 8 GiB, but nobody could see it. Count the DIMMs and compare them with the order."}},
		{"DIMMs right, usable short", func(r *inventory.Report) {
			r.Memory = 4 * gib
		}, []string{"(note) Usable memory: expected at least 7.5 GiB, found 4 GiB. The DIMMs are right, but the system can use less: one may have been disabled, or memory mirroring is on; look in the firmware setup."}},
		{"one core", func(r *inventory.Report) {
			r.CPUs = r.CPUs[:1]
		}, []string{"Processor cores: expected at least 2 cores, found 1 core. Check that the processors are the ones ordered and that no core is turned off in the firmware setup."}},
		{"an empty socket is no processor", func(r *inventory.Report) {
			r.CPUs = append(r.CPUs, inventory.CPU{Slot: "CPU 2"})
		}, nil},
		{"cores unseen", func(r *inventory.Report) {
			r.CPUs = []inventory.CPU{{Slot: "CPU 0", Model: "m"}}
		}, []string{"Processor cores: expected at least 2 cores, but nobody could see it. Check that the processors are the ones ordered and that no core is turned off in the firmware setup."}},
		{"cable out", func(r *inventory.Report) {
			r.NICs[0].Link = is(false)
		}, []string{"Network link: expected at least 1 port with link, found 0 ports with link (eth0 52:54:00:00:00:01 no link). Plug or swap the network cables, and check the switch ports."}},
		{"link unseen", func(r *inventory.Report) {
			r.NICs[0].Link = nil
		}, []string{"Network link: expected at least 1 port with link, but nobody could see it. Look at the link lights of the network ports."}},
		{"no ports seen", func(r *inventory.Report) { r.NICs = nil }, []string{
			"(note) Network ports: expected at least 1 network port, but nobody could see it. Check that every network card is fitted and that none is turned off in the firmware setup.",
			"Network link: expected at least 1 port with link, but nobody could see it. Look at the link lights of the network ports."}},
		{"disk too small", func(r *inventory.Report) {
			r.Disks[0].Size = 50_000_000_000
		}, []string{"Install disk: expected a solid-state disk of at least 100 GB that is not removable, found nvme0n1 (serial S1) has only 50 GB. Fit a disk that qualifies, or correct install_disk in the profile."}},
		{"disk not empty", func(r *inventory.Report) {
			r.Disks[0].Signatures = []string{"gpt", "ext4 at 1048576"}
		}, []string{"Disk nvme0n1 (serial S1): expected an empty disk, found gpt, ext4 at 1048576. There is data on the disk. Fit an empty one, or let muster erase it: erase: allowed in the order, or muster host reinstall."}},
		{"disk not looked at", func(r *inventory.Report) {
			r.Disks[0].Signatures = nil
		}, []string{"Disk nvme0n1 (serial S1): expected an empty disk, but nobody could see it. Nobody looked at what is on it; verify the host again."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.change(&r)
			if diff := cmp.Diff(tt.want, sentences(Compare(edgeMinimum(t), r, Allow{}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func sentences(found []Finding) []string {
	var s []string
	for _, f := range found {
		note := ""
		if !f.Blocking {
			note = "(note) "
		}
		s = append(s, note+f.Sentence())
	}
	return s
}

func TestRulesFindWhatDiffers(t *testing.T) {
	const disk = "install_disk: {minimum: 100GB}\nname: x\n"
	tests := []struct {
		name, rules string
		change      func(*inventory.Report)
		want        []string // check, slot, expected, seen; "!" in front when it blocks
	}{
		{"other maker", "system: {manufacturer: Dell Inc., product: standard pc}", nil,
			[]string{"!system|manufacturer|Dell Inc.|QEMU"}},
		{"maker unseen", "system: {product: X}", func(r *inventory.Report) { r.System.Product = "" },
			[]string{"system|product|X|unknown"}},
		{"firmware mode", "firmware: {mode: bios}", nil, []string{"!firmware-mode||bios|uefi"}},
		{"firmware mode unseen", "firmware: {mode: bios}", func(r *inventory.Report) { r.Firmware.Mode = "" },
			[]string{"firmware-mode||bios|unknown"}},
		{"secure boot off", "firmware: {secure_boot: true}", nil, []string{"!secure-boot||on|off"}},
		{"secure boot not to be had in BIOS mode", "firmware: {secure_boot: true}",
			func(r *inventory.Report) { r.Firmware = inventory.Firmware{Mode: "bios"} }, []string{"!secure-boot||on|off"}},
		{"secure boot unseen", "firmware: {secure_boot: false}",
			func(r *inventory.Report) { r.Firmware.SecureBoot = nil }, []string{"secure-boot||off|unknown"}},
		{"no TPM blocks", `tpm: "2.0"`, nil, []string{"!tpm||2.0 or later|unknown"}},
		{"old TPM", `tpm: "2.0"`, func(r *inventory.Report) { r.TPM = &inventory.TPM{Version: "1.2"} },
			[]string{"!tpm||2.0 or later|1.2"}},
		{"newer TPM passes", `tpm: "1.2"`, func(r *inventory.Report) { r.TPM = &inventory.TPM{Version: "2.0"} }, nil},
		{"exact sockets", "cpu: {sockets: {exact: 1}}", nil, []string{"!cpu-sockets||exactly 1 processor|2 processors"}},
		{"exact memory, too much", "memory: {exact: 4GiB}", nil, []string{"!memory||exactly 4 GiB|8 GiB (A1 8 GiB, A2 empty)"}},
		{"exact memory by usable", "memory: {exact: 8GiB}", func(r *inventory.Report) { r.DIMMs = nil }, nil},
		{"exact memory by usable, too much", "memory: {exact: 4GiB}", func(r *inventory.Report) { r.DIMMs = nil },
			[]string{"!memory||exactly 4 GiB (3.75 GiB usable)|7.67 GiB usable"}},
		{"slot empty", "memory: {slots: {A1: 8GiB, A2: 8GiB}}", nil, []string{"!memory-slot|A2|8 GiB|an empty slot"}},
		{"slot holds another size", "memory: {slots: {a1: 32GiB}}",
			func(r *inventory.Report) { r.DIMMs[0].Part = "M393" }, []string{"!memory-slot|A1|32 GiB|8 GiB M393"}},
		{"slot of no such name", "memory: {slots: {Z9: 8GiB}}", nil, []string{"memory-slot|Z9|8 GiB|unknown"}},
		{"slow port", "nics: {speed: 10Gbps}", nil,
			[]string{"!nic-speed|eth0 52:54:00:00:00:01|10 Gbit/s or faster on 1 port|1 Gbit/s"}},
		{"speed unseen", "nics: {speed: 10Gbps}", func(r *inventory.Report) { r.NICs[0].SpeedMbps = 0 },
			[]string{"nic-speed||10 Gbit/s or faster on 1 port|unknown"}},
		{"one fast port is enough for one", "nics: {speed: 1Gbps, link: {minimum: 1}}",
			func(r *inventory.Report) {
				r.NICs = append(r.NICs, inventory.NIC{Name: "eth1", Link: is(true), SpeedMbps: 100})
			}, nil},
		{"an unseen link may break an exact rule", "nics: {link: {exact: 1}}",
			func(r *inventory.Report) { r.NICs = append(r.NICs, inventory.NIC{Name: "eth1"}) },
			[]string{"nic-link||exactly 1 port with link|unknown"}},
		{"too many links whatever is unseen", "nics: {link: {exact: 1}}",
			func(r *inventory.Report) {
				r.NICs = append(r.NICs, inventory.NIC{Name: "eth1", Link: is(true)}, inventory.NIC{Name: "eth2"})
			},
			[]string{"!nic-link||exactly 1 port with link|2 ports with link (eth0 52:54:00:00:00:01 has link, eth1 has link, eth2 no link)"}},
		{"too few disks", "disks: [{count: {exact: 2}, rotational: false, minimum: 100GB}]", nil,
			[]string{"!disks||exactly 2 disks (solid-state, 100 GB or more)|1 disk (solid-state, 100 GB or more)"}},
		{"disk of unseen kind", "disks: [{count: {minimum: 2}, rotational: false}]",
			func(r *inventory.Report) { r.Disks = append(r.Disks, inventory.Disk{Name: "sda"}) },
			[]string{"disks||at least 2 disks (solid-state)|unknown"}},
		{"disk of another kind", "disks: [{count: {minimum: 1}, transport: sas}]", nil,
			[]string{"!disks||at least 1 disk (sas)|0 disks (sas)"}},
		{"must_see makes unknown block", "firmware: {mode: uefi}\nmust_see: [firmware-mode]",
			func(r *inventory.Report) { r.Firmware.Mode = "" }, []string{"!firmware-mode||uefi|unknown"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte(disk + tt.rules))
			if err != nil {
				t.Fatal(err)
			}
			r := good()
			if tt.change != nil {
				tt.change(&r)
			}
			var got []string
			for _, f := range Compare(p, r, Allow{}) {
				mark := map[bool]string{true: "!"}[f.Blocking]
				got = append(got, mark+strings.Join([]string{string(f.Check), f.Slot, f.Expected, f.Seen}, "|"))
				if f.Advice == "" || f.Witness != inventory.Scout {
					t.Errorf("finding %v lacks advice or witness", f)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestInstallDiskChoosesOrSaysWhyNot(t *testing.T) {
	smallest := Target{Minimum: 100 * gb}
	small, large := ssd("nvme0n1", "S1", 200*gb), ssd("nvme1n1", "S2", 900*gb)
	with := func(d inventory.Disk, change func(*inventory.Disk)) inventory.Disk {
		change(&d)
		return d
	}
	tests := []struct {
		name   string
		target Target
		disks  []inventory.Disk
		disk   string
		seen   string // of the finding, where no disk is chosen
	}{
		{"the smallest that fits", smallest, []inventory.Disk{large, small}, "nvme0n1", ""},
		{"by name", Target{ByID: "nvme-x_S2"}, []inventory.Disk{small, large}, "nvme1n1", ""},
		{"by path", Target{ByID: "/dev/disk/by-id/nvme-eui.S2"}, []inventory.Disk{small, large}, "nvme1n1", ""},
		{"by name, though rotating and removable", Target{ByID: "nvme-x_S1"},
			[]inventory.Disk{with(small, func(d *inventory.Disk) { d.Removable, d.Rotational = true, is(true) })}, "nvme0n1", ""},
		{"no name matches", Target{ByID: "nvme-x_S9"}, []inventory.Disk{small}, "", "nvme0n1 (serial S1) has another name"},
		{"a tie is not guessed", smallest, []inventory.Disk{small, ssd("nvme2n1", "S3", 200*gb), large}, "",
			"2 disks that fit equally well: nvme0n1 (serial S1) 200 GB, nvme2n1 (serial S3) 200 GB"},
		{"a tie of larger ones does not matter", smallest, []inventory.Disk{large, ssd("nvme2n1", "S3", 900*gb), small}, "nvme0n1", ""},
		{"rotating", smallest, []inventory.Disk{with(small, func(d *inventory.Disk) { d.Rotational = is(true) })}, "",
			"nvme0n1 (serial S1) is rotating"},
		{"perhaps rotating", smallest, []inventory.Disk{with(small, func(d *inventory.Disk) { d.Rotational = nil })}, "",
			"nvme0n1 (serial S1) may be rotating, nobody could see"},
		{"removable", smallest, []inventory.Disk{with(small, func(d *inventory.Disk) { d.Removable = true })}, "",
			"nvme0n1 (serial S1) is removable"},
		{"by USB", smallest, []inventory.Disk{with(small, func(d *inventory.Disk) { d.Transport = "usb" })}, "",
			"nvme0n1 (serial S1) is attached by USB; name it with by_id if it is meant"},
		{"by USB, but meant", Target{ByID: "nvme-x_S1"}, []inventory.Disk{with(small, func(d *inventory.Disk) { d.Transport = "usb" })}, "nvme0n1", ""},
		{"without a lasting name", smallest, []inventory.Disk{with(small, func(d *inventory.Disk) { d.ByID = nil })}, "",
			"nvme0n1 (serial S1) has no name under /dev/disk/by-id/ to call it by on the next boot"},
		{"boot medium, even by name", Target{ByID: "nvme-x_S1"}, []inventory.Disk{with(small, func(d *inventory.Disk) { d.BootMedium = true })}, "",
			"nvme0n1 (serial S1) is the medium that the running system came from"},
		{"held, even by name", Target{ByID: "nvme-x_S1"}, []inventory.Disk{with(small, func(d *inventory.Disk) { d.Holders = []string{"dm-0", "md127"} })}, "",
			"nvme0n1 (serial S1) is in use by dm-0, md127"},
		{"read-only, even by name", Target{ByID: "nvme-x_S1"}, []inventory.Disk{with(small, func(d *inventory.Disk) { d.ReadOnly = true })}, "",
			"nvme0n1 (serial S1) is read-only"},
		{"each refusal is told", smallest, []inventory.Disk{{Name: "sda", Size: 50 * gb}, {Name: "sr0", Removable: true}}, "",
			"sda has only 50 GB; sr0 is removable"},
		{"no disk at all", smallest, nil, "", "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, f := InstallDisk(Profile{InstallDisk: tt.target}, inventory.Report{Disks: tt.disks})
			if d.Name != tt.disk {
				t.Errorf("chose %q, want %q", d.Name, tt.disk)
			}
			if (f == nil) != (tt.seen == "") || f != nil && (f.Seen != tt.seen || !f.Blocking) {
				t.Errorf("finding is %+v, want a blocking one that saw %q", f, tt.seen)
			}
		})
	}
}

func TestForeignDataBlocksUnlessLifted(t *testing.T) {
	used := good()
	used.Disks[0].Signatures = []string{"gpt"}
	unseen := good()
	unseen.Disks[0].Signatures = nil
	twins := good()
	twins.Disks = append(twins.Disks, ssd("nvme1n1", "s1", 900*gb))
	twins.Disks[0].Signatures = []string{"gpt"}
	junk := good()
	junk.Disks[0].Serial, junk.Disks[0].Signatures = "0000", []string{"gpt"}
	held := good()
	held.Disks[0].Holders = []string{"md0"}

	tests := []struct {
		name   string
		report inventory.Report
		allow  Allow
		blocks Check
	}{
		{"data, nothing allowed", used, Allow{}, CheckDiskEmpty},
		{"data, erase allowed", used, Allow{Erase: true}, ""},
		{"data, begun by us", used, Allow{Ours: []string{"X", " s1"}}, ""},
		{"data, another disk begun by us", used, Allow{Ours: []string{"S2"}}, CheckDiskEmpty},
		{"not looked at", unseen, Allow{}, CheckDiskEmpty},
		{"not looked at, erase allowed", unseen, Allow{Erase: true}, ""},
		{"two disks share the serial that is ours", twins, Allow{Ours: []string{"S1"}}, CheckDiskEmpty},
		{"a junk serial proves nothing", junk, Allow{Ours: []string{"0000"}}, CheckDiskEmpty},
		{"a held disk is not erased", held, Allow{Erase: true}, CheckInstallDisk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Check
			for _, f := range Compare(edgeMinimum(t), tt.report, tt.allow) {
				if f.Blocking {
					got = f.Check
				}
			}
			if got != tt.blocks {
				t.Errorf("blocked by %q, want %q", got, tt.blocks)
			}
		})
	}
}
