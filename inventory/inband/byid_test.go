package inband

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachRuleMakesItsName(t *testing.T) {
	tests := []struct {
		name, kind string
		props      map[string]string
		want       []string
	}{
		{"nvme", "nvme", map[string]string{"WWID": "eui.0025", "ID_MODEL": "Samsung_SSD_970", "ID_SERIAL_SHORT": "S1", "ID_NSID": "1"},
			[]string{"nvme-Samsung_SSD_970_S1", "nvme-eui.0025", "nvme-Samsung_SSD_970_S1_1"}},
		{"nvme without a model", "nvme", map[string]string{"WWID": "eui.0025", "ID_SERIAL_SHORT": "S1"}, []string{"nvme-eui.0025"}},
		{"virtio", "vd", map[string]string{"ID_SERIAL": "abc"}, []string{"virtio-abc"}},
		{"virtio without a serial", "vd", nil, nil},
		{"sata", "sd", map[string]string{"ID_BUS": "ata", "ID_SERIAL": "M_S", "ID_WWN_WITH_EXTENSION": "0x5000"}, []string{"ata-M_S", "wwn-0x5000"}},
		{"sata behind usb", "sd", map[string]string{"ID_BUS": "ata", "ID_SERIAL": "M_S", "ID_USB_SERIAL": "V_M_S-0:0"}, []string{"ata-M_S", "usb-V_M_S-0:0"}},
		{"usb, told once", "sd", map[string]string{"ID_BUS": "usb", "ID_SERIAL": "V_M_S-0:0", "ID_USB_SERIAL": "V_M_S-0:0"}, []string{"usb-V_M_S-0:0"}},
		{"mmc", "mmc", map[string]string{"ID_NAME": "SD16G", "ID_SERIAL": "0x12"}, []string{"mmc-SD16G_0x12"}},
		{"xen", "xvd", map[string]string{"ID_SERIAL": "x"}, nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, identity{kind: test.kind, props: test.props}.names()); diff != "" {
			t.Errorf("%s: names differ (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestStringsAreCleanedAsUdevDoes(t *testing.T) {
	for in, want := range map[string]string{"  a  b ": "a_b", "": "", "\t\n": "", "abc": "abc"} {
		if got := replaceWhitespace(in); got != want {
			t.Errorf("white space of %q becomes %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"a b": "a_b", "a/b(c)": "a_b_c_", "A-1.2:3=@_+#": "A-1.2:3=@_+#", "grün": "grün", "bad\xff": "bad_"} {
		if got := replaceChars(in); got != want {
			t.Errorf("characters of %q become %q, want %q", in, got, want)
		}
	}
}

// vpd makes a page of the given descriptors.
func vpd(number byte, content ...[]byte) []byte {
	var all []byte
	for _, c := range content {
		all = append(all, c...)
	}
	return append([]byte{0, number, byte(len(all) >> 8), byte(len(all))}, all...)
}

func descriptor(codeSet, association, kind byte, id string) []byte {
	return append([]byte{codeSet, association<<4 | kind, 0, byte(len(id))}, id...)
}

func TestScsiSerialTakesTheBestDesignator(t *testing.T) {
	naa5 := descriptor(codeBinary, ofUnit, kindNAA, "\x50\x00\xc5\x00\x15\xea\x71\xaa")
	naa6 := descriptor(codeBinary, ofUnit, kindNAA, "\x60\x00\xc5\x00\x15\xea\x71\xaa\x01\x02\x03\x04\x05\x06\x07\x08")
	eui := descriptor(codeBinary, ofUnit, kindEUI64, "\x00\x11\x22\x33\x44\x55\x66\x77")
	t10 := descriptor(codeASCII, ofUnit, kindT10, "ACME    LUN 1")
	vendorOwn := descriptor(codeASCII, ofUnit, kindVendor, "S1")
	ofPort := descriptor(codeBinary, 1, kindNAA, "\x50\x00\xc5\x00\x15\xea\x71\xbb")
	tests := []struct {
		name        string
		page        []byte
		serial, wwn string
	}{
		{"extended NAA before plain", vpd(pageIdentity, naa5, naa6), "36000c50015ea71aa0102030405060708", "6000c50015ea71aa0102030405060708"},
		{"NAA before EUI", vpd(pageIdentity, t10, eui, naa5), "35000c50015ea71aa", "5000c50015ea71aa"},
		{"EUI before T10", vpd(pageIdentity, vendorOwn, t10, eui), "20011223344556677", ""},
		{"T10 before the vendor's own", vpd(pageIdentity, vendorOwn, t10), "1ACME    LUN 1", ""},
		{"vendor's own with vendor and model at full width", vpd(pageIdentity, vendorOwn), "0ACME    DISK            S1", ""},
		{"the port's name is not the disk's", vpd(pageIdentity, ofPort), "", ""},
		{"another page", vpd(pageUnitSerial, naa5), "", ""},
		{"cut short", vpd(pageIdentity, naa5)[:10], "", ""},
	}
	for _, test := range tests {
		serial, wwn := scsiSerial(test.page, "ACME", "DISK")
		if serial != test.serial || wwn != test.wwn {
			t.Errorf("%s: got %q and %q, want %q and %q", test.name, serial, wwn, test.serial, test.wwn)
		}
	}
}

// identify is page 89h of a disk.
func identify(serial, model string, wwn uint64, sata uint16) []byte {
	data := make([]byte, identifySize)
	swap := func(word, size int, s string) {
		for i, c := range []byte(s + strings.Repeat(" ", size-len(s))) {
			data[2*word+i^1] = c
		}
	}
	swap(10, 20, serial)
	swap(23, 8, "FW1")
	swap(27, 40, model)
	binary.LittleEndian.PutUint16(data[2*76:], sata)
	for i := range 4 {
		binary.LittleEndian.PutUint16(data[2*(108+i):], uint16(wwn>>(48-16*i)))
	}
	return vpd(pageATA, make([]byte, identifyOffset), data)
}

func TestIdentifyData(t *testing.T) {
	got, ok := parseIdentify(identify("  S 1", "Model  X", 0x5000c50015ea71aa, 0x0e))
	if !ok || got.wwn != "0x5000c50015ea71aa" || got.transport() != "sata" || strings.TrimSpace(got.firmware) != "FW1" {
		t.Errorf("disk is %+v, %v", got, ok)
	}
	id := identity{kind: "sd", props: map[string]string{}}
	id.ata(got)
	if diff := cmp.Diff([]string{"ata-Model_X_S_1", "wwn-0x5000c50015ea71aa"}, id.names()); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
	old, _ := parseIdentify(identify("", "Model", 0, 0))
	id = identity{kind: "sd", props: map[string]string{}}
	id.ata(old)
	if diff := cmp.Diff([]string{"ata-Model"}, id.names()); diff != "" || old.transport() != "ata" {
		t.Errorf("a disk without serial and WWN: %s (-want +got):\n%s", old.transport(), diff)
	}
	if _, ok := parseIdentify(identify("S", "M", 0, 0)[:200]); ok {
		t.Error("a page cut short was taken")
	}
}

func TestUsbDisksAreNamedByTheirDevice(t *testing.T) {
	dir := t.TempDir()
	const usb = "sys/devices/pci0000:00/0000:00:14.0/usb2/2-1"
	const disk = usb + "/2-1:1.0/host7/target7:0:0/7:0:0:0/block/sdx"
	put(t, dir, usb+"/idVendor", "0781\n")
	put(t, dir, usb+"/serial", "4C53 0001\n")
	put(t, dir, disk+"/size", "1000\n")
	put(t, dir, disk+"/removable", "1\n")
	put(t, dir, usb+"/2-1:1.0/host7/target7:0:0/7:0:0:0/vendor", "SanDisk \n")
	put(t, dir, usb+"/2-1:1.0/host7/target7:0:0/7:0:0:0/model", "Ultra Fit       \n")
	symlink(t, dir, disk+"/device", "../../../7:0:0:0")
	symlink(t, dir, "sys/block/sdx", "../"+strings.TrimPrefix(disk, "sys/"))
	disks := Read(rootOf(dir), Options{}).Disks
	if len(disks) != 1 {
		t.Fatalf("disks are %+v", disks)
	}
	d := disks[0]
	if diff := cmp.Diff([]string{"usb-SanDisk_Ultra_Fit_4C53_0001-0:0"}, d.ByID); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
	if d.Transport != "usb" || d.Serial != "4C53 0001" || d.Model != "SanDisk Ultra Fit" || !d.Removable {
		t.Errorf("disk is %+v", d)
	}
}

func symlink(t *testing.T, dir, name, to string) {
	t.Helper()
	put(t, dir, name+".d", "") // makes the directory
	if err := os.Symlink(to, dir+"/"+name); err != nil {
		t.Fatal(err)
	}
}

func FuzzPages(f *testing.F) {
	f.Add(vpd(pageIdentity, descriptor(codeASCII, ofUnit, kindVendor, "S1")))
	f.Add(vpd(pageIdentity, descriptor(codeBinary, ofUnit, kindNAA, "\x50\x00")))
	f.Add(identify("S", "M", 0x5000c50015ea71aa, 1))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if serial, wwn := scsiSerial(raw, "V", "M"); wwn != "" && !strings.HasSuffix(serial[:min(len(serial), 33)], wwn) {
			t.Errorf("serial %q does not hold the name %q", serial, wwn)
		}
		parseIdentify(raw)
		unitSerial(raw)
	})
}
