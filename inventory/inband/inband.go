// Package inband reads a host's hardware from a Linux that runs on it: SMBIOS,
// disks, network ports, security chip, firmware mode and BMC.
//
// It reads names below /sys, /proc and /dev through an fs.FS, so a recorded
// tree gives the same report as the host it was taken from; what needs an
// ioctl or the content of a disk comes through two small interfaces. It calls
// no program, changes nothing, and judges nothing: what it could not read is
// left unknown and told in the report's Problems.
//
// Start at [Read]; the names under /dev/disk/by-id are in byid.go.
package inband

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/muster-boot/muster/inventory"
)

// Options says what Read cannot find in the tree. The zero value works: what
// it leaves out stays unknown.
type Options struct {
	Now       time.Time
	Boot      string            // MAC of the port that the firmware booted from, lower case with colons
	Addresses map[string]string // port name to the address that it was given
	KernelLog []string          // the kernel's messages, one each, oldest first
	Ports     Ports             // nil: no permanent MAC and no firmware version
	Contents  Contents          // nil: disks' contents are not looked at
}

// Ports answers what a network port's driver knows beyond /sys.
type Ports interface {
	Port(name string) (Port, error)
}

// Port is what a driver says.
type Port struct {
	MAC      string // permanent address, lower case with colons; "" where unknown
	Firmware string
}

// Contents looks at what lies on a disk.
type Contents interface {
	// Signatures names each partition table, file system, RAID and LVM mark on
	// the disk of that kernel name; none is an empty slice, not nil.
	Signatures(disk string) ([]string, error)
}

// Read makes the report of the tree at root, which is the root directory of a
// running Linux or a recording of one. It never fails: a tree without anything
// gives an empty report with problems in it. Names and links are read through
// [fs.ReadLink], so root should implement [fs.ReadLinkFS], as os.DirFS does.
func Read(root fs.FS, o Options) inventory.Report {
	t := &tree{root: root}
	r := inventory.Report{
		Witness:  inventory.Scout,
		At:       o.Now,
		Memory:   t.memory(),
		Disks:    t.disks(o.Contents),
		NICs:     t.nics(o),
		TPM:      t.tpm(),
		Gaps:     FirmwareGaps(o.KernelLog),
		Problems: nil,
	}
	t.board(&r)
	t.firmwareMode(&r.Firmware)
	r.BMC = t.bmc(r.BMC)
	r.Problems = t.problems
	return r
}

// tree reads small files of /sys and remembers what went wrong.
type tree struct {
	root     fs.FS
	problems []string
}

func (t *tree) problem(format string, args ...any) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

// text is the content of an attribute without surrounding space; "" where it
// is absent or unreadable, which /sys does not tell apart either.
func (t *tree) text(elem ...string) string {
	return strings.TrimSpace(string(t.bytes(elem...)))
}

func (t *tree) bytes(elem ...string) []byte {
	b, err := fs.ReadFile(t.root, path.Join(elem...))
	if err != nil {
		return nil
	}
	return b
}

func (t *tree) number(elem ...string) (int64, bool) {
	n, err := strconv.ParseInt(t.text(elem...), 10, 64)
	return n, err == nil
}

func (t *tree) exists(elem ...string) bool {
	_, err := fs.Stat(t.root, path.Join(elem...))
	return err == nil
}

// names is what a directory holds, sorted; nothing where there is none.
func (t *tree) names(dir ...string) []string {
	entries, err := fs.ReadDir(t.root, path.Join(dir...))
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// target is where a link leads, from root, one step; "" where it is no link.
func (t *tree) target(link ...string) string {
	name := path.Join(link...)
	to, err := fs.ReadLink(t.root, name)
	if err != nil {
		return ""
	}
	return path.Join(path.Dir(name), to)
}

// device is the real place of /sys/block/X or /sys/class/net/X: these are one
// link into /sys/devices.
func (t *tree) device(name ...string) string {
	if to := t.target(name...); to != "" {
		return to
	}
	return path.Join(name...)
}

// memory is what the kernel can use (proc(5), MemTotal).
func (t *tree) memory() inventory.Bytes {
	s := bufio.NewScanner(bytes.NewReader(t.bytes("proc/meminfo")))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) != 3 || f[0] != "MemTotal:" || f[2] != "kB" {
			continue
		}
		if n, err := strconv.ParseUint(f[1], 10, 54); err == nil {
			return inventory.Bytes(n << 10)
		}
	}
	t.problem("The size of the memory cannot be read from /proc/meminfo.")
	return 0
}

// tpm is the first security chip that the kernel has taken up.
func (t *tree) tpm() *inventory.TPM {
	for _, name := range t.names("sys/class/tpm") {
		switch t.text("sys/class/tpm", name, "tpm_version_major") {
		case "1":
			return &inventory.TPM{Version: "1.2"}
		case "2":
			return &inventory.TPM{Version: "2.0"}
		}
	}
	return nil
}

// secureBoot is the variable of UEFI 2.10 §3.3, as efivarfs shows it: four
// bytes of attributes, one byte of value.
const secureBoot = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

// firmwareMode tells how this system was started.
func (t *tree) firmwareMode(f *inventory.Firmware) {
	if !t.exists("sys/firmware/efi") {
		f.Mode = "bios"
		return
	}
	f.Mode = "uefi"
	if b := t.bytes(secureBoot); len(b) == 5 {
		on := b[4] == 1
		f.SecureBoot = &on
	}
}

// bmc adds what the kernel sees to what SMBIOS said.
func (t *tree) bmc(said *inventory.Controller) *inventory.Controller {
	if said != nil && said.Present {
		return said
	}
	if t.exists("dev/ipmi0") {
		return &inventory.Controller{Present: true, Via: "ipmi"}
	}
	return said
}
