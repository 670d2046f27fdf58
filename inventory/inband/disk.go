package inband

import (
	"bufio"
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
)

// sector is the unit of /sys/block/X/size, whatever the disk's own is.
const sector = 512

// disks is every block device that could hold a system: no optical drives, no
// memory disks, no devices that stand on others, no drives without a medium.
func (t *tree) disks(contents Contents) []inventory.Disk {
	var list []inventory.Disk
	mounts := t.mounts()
	for _, name := range t.names("sys/block") {
		dir := t.device("sys/block", name)
		size, _ := t.number(dir, "size")
		if kindOf(name) == "" || size <= 0 || t.text(dir, "hidden") == "1" {
			continue
		}
		d := t.disk(name, dir)
		d.Size = inventory.Bytes(size) * sector
		t.use(&d, dir, mounts)
		if contents != nil {
			t.look(&d, contents)
		}
		list = append(list, d)
	}
	dropShared(list)
	return list
}

// kindOf is the family of a kernel name, "" for one that holds no system.
func kindOf(name string) string {
	for _, k := range []struct{ pattern, kind string }{
		{"nvme*n*", "nvme"}, {"sd[a-z]*", "sd"}, {"vd[a-z]*", "vd"}, {"xvd[a-z]*", "xvd"}, {"mmcblk*", "mmc"},
	} {
		if ok, err := path.Match(k.pattern, name); ok && err == nil && !strings.Contains(name, "boot") && !strings.Contains(name, "rpmb") {
			return k.kind
		}
	}
	return ""
}

func (t *tree) disk(name, dir string) inventory.Disk {
	id := t.identity(name, dir)
	d := inventory.Disk{
		Name: name, Model: id.model, Serial: id.serial, WWID: id.wwid, Firmware: id.firmware, Transport: id.transport,
		Removable: t.text(dir, "removable") == "1",
		ReadOnly:  t.text(dir, "ro") == "1",
		ByID:      id.names(),
	}
	if v := t.text(dir, "queue/rotational"); v != "" {
		spins := v == "1"
		d.Rotational = &spins
	}
	return d
}

// use finds what stands on the disk or its partitions.
func (t *tree) use(d *inventory.Disk, dir string, mounts map[string][]string) {
	parts := []string{dir}
	for _, sub := range t.names(dir) {
		if t.exists(dir, sub, "partition") {
			parts = append(parts, path.Join(dir, sub))
		}
	}
	for _, p := range parts {
		for _, h := range t.names(p, "holders") {
			d.Holders = append(d.Holders, t.holder(h))
		}
		for _, at := range mounts[path.Base(p)] {
			d.Holders = append(d.Holders, "mounted at "+at)
			d.BootMedium = d.BootMedium || at == "/" || at == "/boot" || strings.HasPrefix(at, "/run/initramfs/")
		}
	}
}

// holder names a device-mapper device as people know it.
func (t *tree) holder(name string) string {
	if n := t.text("sys/block", name, "dm/name"); n != "" {
		return name + " (" + n + ")"
	}
	return name
}

// mounts is where each block device is mounted, by kernel name (proc(5)).
func (t *tree) mounts() map[string][]string {
	m := map[string][]string{}
	s := bufio.NewScanner(bytes.NewReader(t.bytes("proc/mounts")))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) < 2 {
			continue
		}
		if name, ok := strings.CutPrefix(f[0], "/dev/"); ok {
			m[name] = append(m[name], f[1])
		}
	}
	return m
}

// look fills in the signatures. A disk that cannot be read stays "not looked
// at", which nobody takes for empty.
func (t *tree) look(d *inventory.Disk, contents Contents) {
	found, err := contents.Signatures(d.Name)
	if err != nil {
		t.problem("The content of disk %s cannot be read: %v.", d.Name, err)
		return
	}
	d.Signatures = found
	if d.Signatures == nil {
		d.Signatures = []string{}
	}
}

// dropShared takes away by-id names that two disks would have: udev gives such
// a link to one of them, and which one changes.
func dropShared(list []inventory.Disk) {
	owners := map[string]int{}
	for _, d := range list {
		for _, n := range d.ByID {
			owners[n]++
		}
	}
	for i := range list {
		list[i].ByID = slices.DeleteFunc(list[i].ByID, func(n string) bool { return owners[n] > 1 })
	}
}
