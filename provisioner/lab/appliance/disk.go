package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// target finds the disk to install to and returns its kernel name, such as
// nvme0n1. The word auto means the largest disk.
func target(device string, sys fs.FS) (string, error) {
	if device == "" {
		return "", errors.New("install.device is not set: name a disk by /dev/disk/by-id/..., or say auto")
	}
	if device == "auto" {
		return largest(sys)
	}
	path, err := filepath.EvalSymlinks(device)
	if err != nil {
		return "", fmt.Errorf("find install.device: %w; there are: %s", err, strings.Join(byID(), " "))
	}
	name := filepath.Base(path)
	if _, err := fs.Stat(sys, "block/"+name); err != nil {
		return "", fmt.Errorf("%s is no whole disk", device)
	}
	return name, nil
}

// byID lists the names that install.device could have.
func byID() []string {
	paths, err := filepath.Glob("/dev/disk/by-id/*")
	if err != nil || len(paths) == 0 {
		return []string{"none"}
	}
	return paths
}

// largest is the largest disk that could be installed to; of equals the first.
func largest(sys fs.FS) (string, error) {
	names, err := fs.Glob(sys, "block/*")
	if err != nil {
		return "", err
	}
	best, most := "", int64(0)
	for _, name := range names {
		if size := sectors(sys, name); eligible(sys, name) && size > most {
			best, most = path.Base(name), size
		}
	}
	if best == "" {
		return "", errors.New("this host has no disk to install to")
	}
	return best, nil
}

// eligible leaves out what is no fixed disk: loops, RAM disks, CD drives,
// persistent memory, assembled devices, and removable media.
func eligible(sys fs.FS, name string) bool {
	for _, prefix := range []string{"loop", "ram", "sr", "fd", "dm-", "md", "zram", "pmem"} {
		if strings.HasPrefix(path.Base(name), prefix) {
			return false
		}
	}
	return number(sys, name+"/removable") == 0
}

func sectors(sys fs.FS, name string) int64 { return number(sys, name+"/size") }

func number(sys fs.FS, name string) int64 {
	text, err := fs.ReadFile(sys, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// partition is the device of a disk's nth partition.
func partition(disk string, n int) string {
	if last := disk[len(disk)-1]; '0' <= last && last <= '9' {
		return fmt.Sprintf("/dev/%sp%d", disk, n)
	}
	return fmt.Sprintf("/dev/%s%d", disk, n)
}

// The partitions, by number.
const (
	partBoot  = 1 // GRUB's core for BIOS
	partGrub  = 2 // the EFI system partition
	partOEM   = 3 // configuration
	partState = 4 // the system
)

// bootStart is the first sector of the BIOS boot partition. A sector has 512
// bytes; 2048 of them are a MiB.
const bootStart = 2048

// layout is the partition table as sfdisk reads it. What is left of the disk
// stays free.
const layout = `label: gpt
start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name=bios
size=131072, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=grub
size=131072, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=oem
size=2097152, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=state
`

// grubConfig boots the installed system. The label is what the boot loader and
// the initrd know the partition by.
const grubConfig = `set timeout=0
menuentry "Demo appliance" {
	echo "Starting the demo appliance ..."
	linux /boot/kernel root=LABEL=COS_STATE cos-img/filename=/cOS/active.img console=tty1 console=ttyS0
	initrd /boot/initrd
}
`

// writeBIOSLoader writes GRUB for BIOS to a disk whose table is layout: the
// boot sector around the partition table, and the core.
func writeBIOSLoader(device string, boot, core []byte) error {
	boot, core, err := linkLoader(boot, core)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, bootErr := f.WriteAt(boot, 0)
	_, coreErr := f.WriteAt(core, bootStart*sector)
	return errors.Join(bootErr, coreErr, f.Sync(), f.Close())
}
