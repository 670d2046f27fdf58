package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// childLab, set in the environment, makes the test binary a process that holds
// a lab with one host that is on, prints the lab's name, and waits.
const childLab = "MUSTER_LAB_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childLab) != "" {
		if err := holdLab(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func holdLab() error {
	ctx := context.Background()
	l, err := Open(ctx, Options{Networks: oneNetwork})
	if err != nil {
		return err
	}
	h, err := l.AddHost(ctx, haltingHost())
	if err != nil {
		return err
	}
	if err := h.PowerOn(ctx); err != nil {
		return err
	}
	fmt.Println(l.server.name)
	select {}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: the lab needs root")
	}
}

func TestOpenWithoutRootSaysSo(t *testing.T) {
	if os.Geteuid() == 0 {
		cmd := exec.Command("setpriv", "--reuid=65534", "--clear-groups", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("as an ordinary user: %v\n%s", err, out)
		}
		return
	}
	_, err := Open(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("Open as uid %d: %v, want an error that asks for root", os.Geteuid(), err)
	}
}

// A boot sector that writes its message to the first serial port and then halts,
// or powers the host off through the ACPI control register, which both chipsets
// have at 0x604. Interrupts are off while it writes: SeaBIOS's timer may still
// have the end of its own text to print to that port.
var (
	sayUp = []byte{
		0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xfc, // cli; xor ax,ax; mov ds,ax; cld
		0xba, 0xf8, 0x03, 0xbe, 0x80, 0x7c, // mov dx,0x3f8; mov si,message
		0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, // print: lodsb; test al,al; jz done; out dx,al; jmp print
		0xfb, // done: sti
	}
	halt     = []byte{0xf4, 0xeb, 0xfd}                         // hlt; jmp back
	powerOff = []byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef} // mov dx,0x604; mov ax,0x2000; out dx,ax
)

const upMessage = "lab host is up\r\n"

func bootSector(code ...[]byte) []byte {
	sector := make([]byte, 512)
	n := 0
	for _, c := range code {
		n += copy(sector[n:], c)
	}
	copy(sector[0x80:], upMessage)
	copy(sector[510:], []byte{0x55, 0xaa})
	return sector
}

func haltingHost() Spec {
	return Spec{Name: "halting", MemoryMiB: 64, NICs: []NIC{{MAC: "52:54:00:77:00:01"}}, Disks: []Disk{{Kind: Virtio, GB: 1}}, Boot: []Device{FromDisk}}
}

func TestHostFollowsItsPowerButton(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := ForTest(t, oneNetwork...)
	h, err := l.AddHost(ctx, haltingHost())
	if err != nil {
		t.Fatal(err)
	}
	writeSector(t, h, bootSector(sayUp, halt))
	step := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	step("power on", h.PowerOn(ctx))
	step("first boot", h.WaitConsole(ctx, "lab host is up"))
	step("reset", h.Reset(ctx))
	step("second boot", h.WaitConsole(ctx, "lab host is up"))
	if h.Off() {
		t.Error("the host is off after a reset")
	}
	step("power off", h.PowerOff(ctx))
	if !h.Off() {
		t.Error("the host is on after power-off")
	}

	writeSector(t, h, bootSector(sayUp, powerOff, halt))
	step("power on again", h.PowerOn(ctx))
	step("the host's own power-off", h.WaitOff(ctx))
	step("third boot", h.WaitConsole(ctx, "lab host is up"))
	if err := h.WaitConsole(ctx, "a fourth boot"); err == nil || !strings.Contains(err.Error(), "went off") {
		t.Errorf("waiting for an off host's console: %v, want that it went off", err)
	}
}

func writeSector(t *testing.T, h *Host, sector []byte) {
	t.Helper()
	f, err := os.OpenFile(h.DiskPath(0), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(sector, 0)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestEveryKindOfDeviceIsAccepted(t *testing.T) {
	needRoot(t)
	l := ForTest(t, oneNetwork...)
	bmc, err := net.Listen("unix", filepath.Join(t.TempDir(), "bmc"))
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	for i, s := range []Spec{
		{Firmware: UEFI, SecureBoot: true, HTTPBoot: true, TPM: true, KCS: bmc.Addr().String(), Drive: true, Disks: []Disk{{Kind: NVMe}}},
		{Firmware: UEFI, NICs: []NIC{{}, {Model: "e1000e"}, {Model: "e1000"}}, Clock: time.Unix(0, 0), NoIPv6PXE: true,
			Disks: []Disk{{Kind: NVMe, WWN: 0x5254}, {Kind: NVMe}, {Kind: SATA, WWN: 0x5000}, {Kind: SCSI}, {Kind: SCSI}, {Kind: Virtio}, {Kind: MegaSAS}}},
		{UUID: "4c4c4544-0042-4b10-8056-c4c04f4e3132", CD: ovmfCode, Disks: []Disk{{Kind: NVMe}, {Kind: SCSI, Rotational: true}}},
	} {
		s.Name = fmt.Sprintf("host%d", i)
		s.MemoryMiB = 128
		for j := range s.NICs {
			s.NICs[j].MAC = fmt.Sprintf("52:54:00:78:%02x:%02x", i, j)
		}
		h, err := l.AddHost(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.PowerOn(t.Context()); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if err := h.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestServerAndClientShareANetwork(t *testing.T) {
	needRoot(t)
	l := ForTest(t, oneNetwork...)
	var listener net.Listener
	err := l.Server().Do(func() (err error) {
		listener, err = net.Listen("tcp4", "10.77.0.1:8067")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := l.Client(t.Context(), "br0", netip.MustParsePrefix("10.77.0.9/24"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.Command(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/10.77.0.1/8067").CombinedOutput()
	if err != nil {
		t.Errorf("connect from the client: %v\n%s", err, out)
	}
}

// The first thread stands for the process: were it left in a lab's namespace,
// the guard would end the process with the lab.
func TestProcessStaysOutsideTheNamespacesItEnters(t *testing.T) {
	needRoot(t)
	l := ForTest(t, oneNetwork...)
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		var inside string
		if err := l.Server().Do(func() (err error) {
			inside, err = os.Readlink("/proc/thread-self/ns/net")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if inside == outside {
			t.Fatal("f ran outside the namespace")
		}
		if now, err := os.Readlink("/proc/self/ns/net"); err != nil || now != outside {
			t.Fatalf("the process is in %s (%v), not in %s any more", now, err, outside)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	needRoot(t)
	l, err := Open(t.Context(), Options{Networks: oneNetwork})
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.AddHost(t.Context(), haltingHost())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	stray := l.Server().Command(context.Background(), "sleep", "600")
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := stray.Wait(); err == nil {
		t.Error("a process in the server's namespace ended by itself, not by Close")
	}
	if left := remains(l.server.name); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestKilledLabLeavesNothing(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childLab+"=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	name, err := bufio.NewReader(out).ReadString('\n')
	name = strings.TrimSpace(name)
	if err != nil || len(remains(name)) < 4 {
		t.Fatalf("the child's lab %q is not there: %v, %q", name, err, remains(name))
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for left := remains(name); len(left) > 0; left = remains(name) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("left behind by a killed process: %q", left)
		}
	}
}

func TestOpenRemovesTheLabsOfDeadProcesses(t *testing.T) {
	needRoot(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s%d-1", prefix, dead.Process.Pid)
	for _, ns := range []string{name, name + "-wires"} {
		if err := run(exec.Command("ip", "netns", "add", ns)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(os.TempDir(), name, "host"), 0o755); err != nil {
		t.Fatal(err)
	}
	other := ForTest(t) // alive, and so not to be touched by the next Open
	ForTest(t)
	if left := remains(name); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if len(remains(other.server.name)) == 0 {
		t.Error("a living lab was removed")
	}
}

// remains lists what a lab has on this machine: namespaces, its scratch
// directory, and processes that name it on their command line.
func remains(name string) []string {
	found, _ := filepath.Glob(filepath.Join(namespaces, name+"*"))
	if _, err := os.Stat(filepath.Join(os.TempDir(), name)); !errors.Is(err, fs.ErrNotExist) {
		found = append(found, filepath.Join(os.TempDir(), name))
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), "/"+name+"/") {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestSlotIsWaitedFor(t *testing.T) {
	s := slots{dir: t.TempDir(), count: 2}
	first, err := s.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	full, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.take(full); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third of two slots: %v, want a deadline", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := s.take(t.Context())
	if err != nil {
		t.Fatalf("after one was given back: %v", err)
	}
	third.Close()
}

func TestHostThatIsOnHoldsASlotUntilItIsOff(t *testing.T) {
	needRoot(t)
	t.Setenv("MUSTER_LAB_SLOTS", "1")
	l, err := Open(t.Context(), Options{Networks: oneNetwork, Slots: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var hosts []*Host
	for _, name := range []string{"first", "second"} {
		h, err := l.AddHost(t.Context(), Spec{Name: name, MemoryMiB: 64})
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	if err := hosts[0].PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := hosts[1].PowerOn(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("power on without a free slot: %v, want a deadline", err)
	}
	if err := hosts[0].PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := hosts[1].PowerOn(t.Context()); err != nil {
		t.Errorf("power on with the slot given back: %v", err)
	}
}

func TestAReservedSlotOutlivesPowerOffs(t *testing.T) {
	needRoot(t)
	t.Setenv("MUSTER_LAB_SLOTS", "1")
	l, err := Open(t.Context(), Options{Networks: oneNetwork, Slots: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first, err := l.AddHost(t.Context(), Spec{Name: "first", MemoryMiB: 64})
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.AddHost(t.Context(), Spec{Name: "second", MemoryMiB: 64})
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(first.Reserve(soon), first.PowerOn(soon), first.PowerOff(soon), first.PowerOn(soon), first.PowerOff(soon)); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := second.PowerOn(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("power on with the slot reserved for another: %v, want a deadline", err)
	}
	if err := errors.Join(first.Release(), second.PowerOn(soon)); err != nil {
		t.Errorf("power on with the slot released: %v", err)
	}
}

// TestDnsmasqServesANetwork has busybox's client get an address of the range from
// somebody else's DHCP server.
func TestDnsmasqServesANetwork(t *testing.T) {
	needRoot(t)
	l := ForTest(t, oneNetwork...)
	addr := netip.MustParseAddr
	if err := l.ServeDHCP(t.Context(), "br0", netip.MustParsePrefix("10.77.0.2/24"), addr("10.77.0.100"), addr("10.77.0.110")); err != nil {
		t.Fatal(err)
	}
	client, err := l.Client(t.Context(), "br0", netip.MustParsePrefix("10.77.0.9/24"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := client.Command(ctx, "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-s", "/bin/true").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "lease of 10.77.0.1") || !strings.Contains(string(out), "from 10.77.0.2") {
		t.Errorf("%v:\n%s", err, out)
	}
}
