package scout

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const testModules = "lib/modules/6.1"

func tables() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		testModules + "/modules.dep": file(strings.Join([]string{
			"kernel/virtio_pci.ko: kernel/virtio_ring.ko kernel/virtio.ko",
			"kernel/virtio_ring.ko: kernel/virtio.ko", "kernel/virtio.ko:",
			"kernel/virtio_net.ko: kernel/virtio.ko", "kernel/mlx4_core.ko:", "kernel/mlx4-en.ko: kernel/mlx4_core.ko",
			"kernel/libcrc32c.ko:", "kernel/crc32c-intel.ko:", "kernel/usbhid.ko:",
		}, "\n")),
		testModules + "/modules.alias": file(strings.Join([]string{
			"# a comment", "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci", "alias virtio:d00000001v* virtio_net",
			"alias pci:v000015B3d0000100[3-4]sv*sd*bc*sc*i* mlx4_core", "alias crc32c crc32c_intel",
			"alias usb:v*p*d*dc*dsc*dp*ic03isc*ip*in* usbhid", "alias acpi*:PNP0: never",
		}, "\n")),
		testModules + "/modules.softdep": file("softdep mlx4_core post: mlx4_en\nsoftdep libcrc32c pre: crc32c gone\n"),
	}
}

func readTables(t *testing.T, root fstest.MapFS) *catalog {
	t.Helper()
	c, err := readCatalog(root, testModules)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDevicesFindTheirModules(t *testing.T) {
	c := readTables(t, tables())
	for modalias, want := range map[string][]string{
		"pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00": {"virtio_pci"},
		"pci:v000015B3d00001003sv0sd0bc02sc00i00":               {"mlx4_core"},
		"pci:v000015B3d00001005sv0sd0bc02sc00i00":               nil,
		"virtio:d00000001v00001AF4":                             {"virtio_net"},
		"usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip00in00":     {"usbhid"},
		"acpi0:PNP0:": {"never"},
		"":            nil,
	} {
		if diff := cmp.Diff(want, c.matching(modalias)); diff != "" {
			t.Errorf("%q differs (-want +got):\n%s", modalias, diff)
		}
	}
}

func TestWhatAModuleNeedsIsLoadedFirst(t *testing.T) {
	c := readTables(t, tables())
	for name, want := range map[string][]string{
		"virtio_pci": {"kernel/virtio.ko", "kernel/virtio_ring.ko", "kernel/virtio_pci.ko"},
		"virtio-pci": {"kernel/virtio.ko", "kernel/virtio_ring.ko", "kernel/virtio_pci.ko"},
		"mlx4_core":  {"kernel/mlx4_core.ko", "kernel/mlx4-en.ko"},
		"libcrc32c":  {"kernel/crc32c-intel.ko", "kernel/libcrc32c.ko"},
		"builtin":    nil,
	} {
		if diff := cmp.Diff(want, c.loadList(name)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", name, diff)
		}
	}
}

func TestARamdiskWithoutTablesIsAnError(t *testing.T) {
	if _, err := readCatalog(fstest.MapFS{}, testModules); err == nil {
		t.Error("no error")
	}
}

func device(root fstest.MapFS, bus, name, modalias string) {
	root["sys/bus/"+bus+"/devices/"+name+"/modalias"] = &fstest.MapFile{Data: []byte(modalias + "\n")}
}

func TestColdplugFollowsDevicesBehindDevices(t *testing.T) {
	root := tables()
	device(root, "pci", "0000:00:03.0", "pci:v00001AF4d00001041sv0sd0bc02sc00i00")
	var got []string
	insert := func(file string) error {
		got = append(got, file)
		if strings.HasSuffix(file, "virtio_pci.ko") {
			device(root, "virtio", "virtio0", "virtio:d00000001v00001AF4")
		}
		return nil
	}
	l := newLoader(root, readTables(t, root), insert)
	n, err := l.coldplug()
	if err != nil {
		t.Fatal(err)
	}
	const dir = "/" + testModules + "/kernel/"
	if diff := cmp.Diff([]string{dir + "virtio.ko", dir + "virtio_ring.ko", dir + "virtio_pci.ko", dir + "virtio_net.ko"}, got); diff != "" || n != 4 {
		t.Errorf("%d loaded, differs (-want +got):\n%s", n, diff)
	}
	if n, err := l.coldplug(); n != 0 || err != nil {
		t.Errorf("a second time loaded %d, %v", n, err)
	}
}

func TestADriverThatFailsDoesNotStopTheOthers(t *testing.T) {
	root := tables()
	device(root, "pci", "1", "pci:v000015B3d00001003sv0sd0bc02sc00i00")
	device(root, "usb", "2", "usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip00in00")
	var tried []string
	l := newLoader(root, readTables(t, root), func(file string) error {
		tried = append(tried, file)
		switch {
		case strings.HasSuffix(file, "mlx4_core.ko"):
			return unix.ENOEXEC
		case strings.HasSuffix(file, "usbhid.ko"):
			return unix.ENODEV
		}
		return nil
	})
	n, err := l.coldplug()
	if !errors.Is(err, unix.ENOEXEC) || errors.Is(err, unix.ENODEV) {
		t.Errorf("error is %v", err)
	}
	if n != 1 || len(tried) != 3 {
		t.Errorf("loaded %d of %q", n, tried)
	}
}
