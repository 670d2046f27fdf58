package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const sector = 512

// Where GRUB 2's images keep what an installer has to fill in; see boot.S and
// diskboot.S of GRUB 2.06 for i386-pc.
const (
	bootCode       = 440  // bytes of code before the disk signature of an MBR
	bootKernel     = 0x5c // u64 in the boot sector: where the core's first sector lies
	coreBlocklist  = 500  // u64 in the core's first sector: where its second one lies
	biosBootLength = 2048 // sectors of the partition for the core
)

// linkLoader fills in where on the disk the pieces of GRUB find each other. The
// boot sector it returns ends before the disk signature and partition table.
func linkLoader(boot, core []byte) (linkedBoot, linkedCore []byte, err error) {
	if len(boot) != sector {
		return nil, nil, fmt.Errorf("boot.img has %d bytes, want %d", len(boot), sector)
	}
	if len(core) < 2*sector || len(core) > biosBootLength*sector {
		return nil, nil, fmt.Errorf("core.img has %d bytes, which does not fit", len(core))
	}
	boot, core = bytes.Clone(boot[:bootCode]), bytes.Clone(core)
	binary.LittleEndian.PutUint64(boot[bootKernel:], bootStart)
	binary.LittleEndian.PutUint64(core[coreBlocklist:], bootStart+1)
	return boot, core, nil
}
