package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestAutoTakesTheLargestFixedDisk(t *testing.T) {
	sys := fstest.MapFS{}
	add := func(name, size, removable string) {
		sys["block/"+name+"/size"] = &fstest.MapFile{Data: []byte(size + "\n")}
		sys["block/"+name+"/removable"] = &fstest.MapFile{Data: []byte(removable + "\n")}
	}
	add("loop0", "9000", "0")
	add("sr0", "9000", "1")
	add("dm-0", "9000", "0")
	add("sdb", "9000", "1") // a USB stick
	if _, err := target("auto", sys); err == nil {
		t.Error("a host without a fixed disk has a target")
	}
	add("nvme0n1", "2000", "0")
	add("sda", "3000", "0")
	if got, err := target("auto", sys); err != nil || got != "sda" {
		t.Errorf("target is %q, %v, want sda", got, err)
	}
}

func TestTargetThatIsNoDiskIsRefused(t *testing.T) {
	sys := fstest.MapFS{"block/sda/size": &fstest.MapFile{}}
	dir := t.TempDir()
	for _, name := range []string{"sda", "sda1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(dir, "by-id-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := target(filepath.Join(dir, "by-id-sda"), sys); err != nil || got != "sda" {
		t.Errorf("by-id target is %q, %v", got, err)
	}
	for device, want := range map[string]string{
		"":                                   "install.device is not set",
		filepath.Join(dir, "by-id-sda1"):     "no whole disk",
		filepath.Join(dir, "by-id-misspelt"): "there are:",
	} {
		if _, err := target(device, sys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("target %q: %v, want an error with %q", device, err, want)
		}
	}
}

func TestPartitionOfADiskThatEndsInADigitHasAP(t *testing.T) {
	for disk, want := range map[string]string{"sda": "/dev/sda4", "nvme0n1": "/dev/nvme0n1p4", "vdb": "/dev/vdb4"} {
		if got := partition(disk, partState); got != want {
			t.Errorf("partition 4 of %s is %s, want %s", disk, got, want)
		}
	}
}

func TestBIOSLoaderLeavesThePartitionTable(t *testing.T) {
	boot, core := bytes.Repeat([]byte{0xb0}, sector), bytes.Repeat([]byte{0xc0}, 3*sector)
	device := filepath.Join(t.TempDir(), "disk")
	before := bytes.Repeat([]byte{0xdd}, (bootStart+biosBootLength)*sector)
	if err := os.WriteFile(device, before, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeBIOSLoader(device, boot, core); err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(device)
	if err != nil {
		t.Fatal(err)
	}
	start := bootStart * sector
	if !bytes.Equal(disk[bootCode:start], before[bootCode:start]) {
		t.Error("something between boot code and core was written: the partition table lies there")
	}
	if got := binary.LittleEndian.Uint64(disk[bootKernel:]); got != bootStart {
		t.Errorf("the boot sector looks for the core at %d, want %d", got, bootStart)
	}
	if got := binary.LittleEndian.Uint64(disk[start+coreBlocklist:]); got != bootStart+1 {
		t.Errorf("the core looks for its rest at %d, want %d", got, bootStart+1)
	}
	if len(disk) != len(before) || !bytes.Equal(disk[start+len(core):], before[start+len(core):]) {
		t.Error("something behind the core was written")
	}
}

func TestBootLoaderOfAnotherSizeIsRefused(t *testing.T) {
	for name, tt := range map[string]struct{ boot, core int }{
		"boot sector": {sector + 1, 3 * sector},
		"short core":  {sector, sector},
		"long core":   {sector, (biosBootLength + 1) * sector},
	} {
		if _, _, err := linkLoader(make([]byte, tt.boot), make([]byte, tt.core)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
