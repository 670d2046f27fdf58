package localdisk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tinkerbell/ipxedust/binary"
)

const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"

	// bootDeadline is several times what the boot takes on an idle machine.
	bootDeadline = 4 * time.Minute
)

// The whole way: firmware boots the network first, iPXE holds the card and
// chains localdisk.efi over HTTP. Next in the boot order comes a USB stick with
// a loader, which must not be booted, then the SATA disk, and last an NVMe disk
// that the firmware lists before it.
func TestUEFIHostThatBootsTheNetworkFirstStartsTheFirstDiskOfItsBootOrder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, as every test that starts a host")
	}
	needTools(t, "qemu-system-x86_64", "sfdisk", "mformat", "mmd", "mcopy", "gcc", "ld", "objdump")
	dir := t.TempDir()
	server, served := serveEFI(t)
	writeFile(t, filepath.Join(dir, "tftp", "ipxe.efi"), ipxeThatChains(t, server.URL))
	loader := filepath.Join(dir, "testloader.efi")
	writeFile(t, loader, build(t, "testloader.c"))
	for _, disk := range []string{"usb.img", "sata.img", "nvme.img"} {
		makeDisk(t, filepath.Join(dir, disk), loader)
	}

	console := bootHost(t, dir)
	if served.Load() == 0 {
		t.Errorf("localdisk.efi was never fetched; console:\n%s", console)
	}
	want := regexp.MustCompile(`testloader: started from \S*/Sata\(\S*/HD\(1,GPT,\S*\\EFI\\BOOT\\BOOTX64\.EFI end`)
	if !want.MatchString(console) {
		t.Errorf("console does not match %s:\n%s", want, console)
	}
	if !strings.Contains(console, "muster: booting ") {
		t.Errorf("localdisk.efi did not say what it boots; console:\n%s", console)
	}
}

// serveEFI serves localdisk.efi on loopback and counts the requests.
func serveEFI(t *testing.T) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var served atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/localdisk.efi" {
			http.NotFound(w, r)
			return
		}
		served.Add(1)
		w.Write(EFI())
	}))
	t.Cleanup(server.Close)
	return server, &served
}

// ipxeThatChains is ipxedust's loader with a script of ours; QEMU's user
// network shows the test's loopback as 10.0.2.2.
func ipxeThatChains(t *testing.T, url string) []byte {
	t.Helper()
	url = strings.Replace(url, "127.0.0.1", "10.0.2.2", 1)
	patched, err := binary.Patch(binary.IpxeEFI, fmt.Appendf(nil, "dhcp\nchain %s/localdisk.efi || poweroff", url))
	if err != nil {
		t.Fatalf("patch iPXE: %v", err)
	}
	return patched
}

// makeDisk makes a GPT disk whose EFI System Partition holds loader as its
// default one.
func makeDisk(t *testing.T, image, loader string) {
	t.Helper()
	writeFile(t, image, nil)
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "start=2048, size=100000, type=uefi\n", "sfdisk", "--quiet", "--label", "gpt", image)
	partition := image + "@@1M"
	run(t, "", "mformat", "-i", partition, "-T", "100000", "-h", "16", "-s", "63", "-F", "::")
	run(t, "", "mmd", "-i", partition, "::/EFI", "::/EFI/BOOT")
	run(t, "", "mcopy", "-i", partition, loader, "::/EFI/BOOT/BOOTX64.EFI")
}

func run(t *testing.T, stdin, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, said)
	}
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// bootHost runs a host until it switches itself off and returns its console.
// The thread is held because the kernel kills the host when the thread that
// started it ends, so that a killed test leaves none behind.
func bootHost(t *testing.T, dir string) string {
	t.Helper()
	vars, err := os.ReadFile(ovmfVars)
	if err != nil {
		t.Fatalf("read OVMF's variables (Debian package ovmf; run `make lab`): %v", err)
	}
	writeFile(t, filepath.Join(dir, "vars.fd"), vars)
	ctx, cancel := context.WithTimeout(t.Context(), bootDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", hostArgs()...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	said, err := cmd.CombinedOutput()
	console, readErr := os.ReadFile(filepath.Join(dir, "console.log"))
	if err := errors.Join(err, readErr); err != nil {
		t.Fatalf("host did not switch itself off: %v\n%s\nconsole:\n%s", err, said, console)
	}
	return string(console)
}

func hostArgs() []string {
	return strings.Fields(`-machine q35 -accel tcg -m 512 -display none -no-reboot -serial file:console.log
		-drive if=pflash,format=raw,readonly=on,file=` + ovmfCode + `
		-drive if=pflash,format=raw,file=vars.fd
		-device virtio-rng-pci
		-netdev user,id=net,tftp=tftp,bootfile=ipxe.efi -device virtio-net-pci,netdev=net,romfile=,bootindex=1
		-drive if=none,id=usb,format=raw,cache=unsafe,file=usb.img
		-device qemu-xhci -device usb-storage,drive=usb,bootindex=2
		-drive if=none,id=sata,format=raw,cache=unsafe,file=sata.img
		-device ide-hd,drive=sata,bootindex=3
		-drive if=none,id=nvme,format=raw,cache=unsafe,file=nvme.img
		-device nvme,serial=localdisk,drive=nvme,bootindex=4`)
}
