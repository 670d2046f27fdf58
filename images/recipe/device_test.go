package recipe

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestADiskIsNamedAsTheInstallerFindsIt(t *testing.T) {
	for _, tc := range []struct{ family, of, version, want string }{
		{"kairos", "kairos", "3.2.0", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1"},
		{"kairos", "kairos", "v4.0.3", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1"},
		{"kairos", "kairos", "3.10", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1"},
		{"kairos", "kairos", "3.1.9", "/dev/nvme0n1"},
		{"kairos", "kairos", "v0.0.1", "/dev/nvme0n1"},
		{"kairos", "kairos-init", "v0.8.4", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1"},
		{"kairos", "kairos-init", "none", "/dev/nvme0n1"},
		{"kairos", "agent", "4.9.7", "/dev/nvme0n1"},
		{"kairos", "kairos", "3", "/dev/nvme0n1"},
		{"kairos", "kairos", "", "/dev/nvme0n1"},
		{"kairos", "kairos", "latest", "/dev/nvme0n1"},
		{"kairos-uki", "kairos", "4.1.2", "/dev/nvme0n1"},
	} {
		v := values()
		v.Disk.Kernel, v.Version = "nvme0n1", map[string]string{tc.of: tc.version}
		got := string(rendered(t, tc.family, MainDocument, v, Source{}))
		if !strings.Contains(got, `"device": "`+tc.want+`"`) {
			t.Errorf("%s with %s %q does not get %s:\n%s", tc.family, tc.of, tc.version, tc.want, got)
		}
		if guarded := strings.Contains(got, "see that the disk is the one that was verified"); guarded == strings.Contains(tc.want, "by-id") {
			t.Errorf("%s with %s %q is guarded: %t", tc.family, tc.of, tc.version, guarded)
		}
	}
}

// TestTheGuardStopsAtAnotherDisk runs the command in a shell, with a disk that
// is a file and programs that say what they are told.
func TestTheGuardStopsAtAnotherDisk(t *testing.T) {
	for _, tc := range []struct {
		name, link, serial string
		goes               bool
	}{
		{"the very disk", "/dev/nvme0n1", "S1", true},
		{"no names below by-id", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1", "S1", true},
		{"the serial is not told", "/dev/nvme0n1", "", true},
		{"another disk has the name", "/dev/nvme1n1", "S2", false},
		{"nothing is known", "", "", false},
	} {
		w := writer{recipe: named(t, "kairos"), values: values()}
		w.values.Disk.Kernel, w.values.Disk.Serial = "nvme0n1", "S1"
		_, guard := w.device()
		dir := t.TempDir()
		for name, script := range map[string]string{
			"readlink": "echo '" + tc.link + "'", "lsblk": "echo '" + tc.serial + " '", "poweroff": "touch " + dir + "/off; kill $PPID",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", guard+"; touch "+dir+"/goes")
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		_ = cmd.Run()
		_, errGoes := os.Stat(filepath.Join(dir, "goes"))
		_, errOff := os.Stat(filepath.Join(dir, "off"))
		if (errGoes == nil) != tc.goes || (errOff == nil) == tc.goes {
			t.Errorf("%s: goes on %t, powers off %t, want it to go on: %t", tc.name, errGoes == nil, errOff == nil, tc.goes)
		}
	}
}
