package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// installer puts the running live system on a disk.
type installer struct {
	cmdline []string
	config  collection
	say     func(format string, args ...any)
}

// ending is what the host does when the installation is done.
type ending string

const (
	endStay     ending = ""
	endPoweroff ending = "poweroff"
	endReboot   ending = "reboot"
)

// run installs if the configuration says so. An installation that fails leaves
// the host on, with the reason on its console.
func (i installer) run(ctx context.Context) error {
	i.say("%s", i.config)
	if why := refusal(i.config, i.cmdline); why != "" {
		i.say("NOT installing: %s", why)
		return nil
	}
	if err := i.install(ctx); err != nil {
		i.say("FAILED: %v", err)
		return nil
	}
	end := endOf(*i.config.config.Install)
	if end == endStay {
		i.say("done; remove the medium and restart the host")
		return nil
	}
	i.say("done, %s", end)
	return command(ctx, string(end))
}

// refusal says why nothing is installed, or nothing if it is.
func refusal(c collection, cmdline []string) string {
	install := c.config.Install
	asked := slices.Contains(cmdline, "install-mode") || slices.Contains(cmdline, "nodepair.enable")
	switch {
	case len(c.sources) == 0:
		return "there is no valid configuration (a file must begin with " + headers[0] + ")"
	case install == nil:
		return "the configuration has no install section"
	case install.Auto != nil && !*install.Auto:
		return "install.auto is false"
	case install.Auto == nil && !asked:
		return "neither install.auto nor install-mode on the kernel's command line asks for it"
	}
	return ""
}

func endOf(c installConfig) ending {
	switch {
	case c.Poweroff:
		return endPoweroff
	case c.Reboot:
		return endReboot
	}
	return endStay
}

// Where the partitions of the new system are mounted, and what is taken from
// the live one.
const (
	mountPoint   = "/run/install"
	systemImage  = "/run/cos/system.squashfs"
	loaders      = "/usr/lib/appliance"
	seedRequest  = 32
	fallbackPath = "EFI/BOOT/BOOTX64.EFI" // UEFI 2.10, 3.5.1.1
)

func (i installer) install(ctx context.Context) error {
	if err := seed(); err != nil {
		return err
	}
	c := i.config.config
	c.runStage(ctx, "kairos-install.pre", i.say)
	disk, err := target(c.Install.Device, os.DirFS("/sys"))
	if err != nil {
		return err
	}
	c.runStage(ctx, "partition", i.say)
	i.say("partitioning %s", disk)
	if err := makePartitions(ctx, disk); err != nil {
		return err
	}
	c.runStage(ctx, "before-install", i.say)
	if err := i.write(disk); err != nil {
		return err
	}
	c.runStage(ctx, "after-install", i.say)
	c.runStage(ctx, "kairos-install.after", i.say)
	return nil
}

// seed waits until the kernel has randomness: the tools below would ask for it
// without waiting, and lose a second each time.
func seed() error {
	_, err := unix.Getrandom(make([]byte, seedRequest), 0)
	return err
}

func makePartitions(ctx context.Context, disk string) error {
	sfdisk := exec.CommandContext(ctx, "sfdisk", "--quiet", "--wipe", "always", "--wipe-partitions", "always", "/dev/"+disk)
	sfdisk.Stdin = strings.NewReader(layout)
	if out, err := sfdisk.CombinedOutput(); err != nil {
		return fmt.Errorf("partition %s: %w: %s", disk, err, out)
	}
	if err := command(ctx, "udevadm", "settle", "--timeout=30"); err != nil {
		return err
	}
	ext4 := []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", "-L"}
	return errors.Join(
		command(ctx, "mkfs.vfat", "-n", "COS_GRUB", partition(disk, partGrub)),
		command(ctx, append(slices.Clone(ext4), "COS_OEM", partition(disk, partOEM))...),
		command(ctx, append(slices.Clone(ext4), "COS_STATE", partition(disk, partState))...),
	)
}

// write fills the new partitions and makes them boot.
func (i installer) write(disk string) error {
	i.say("copying the system")
	err := errors.Join(
		onPartition(partition(disk, partState), "ext4", writeState),
		onPartition(partition(disk, partOEM), "ext4", i.writeConfig),
	)
	if err != nil {
		return err
	}
	i.say("writing the boot loader")
	if err := onPartition(partition(disk, partGrub), "vfat", writeUEFILoader); err != nil {
		return err
	}
	boot, bootErr := os.ReadFile(filepath.Join(loaders, "boot.img"))
	core, coreErr := os.ReadFile(filepath.Join(loaders, "core.img"))
	if err := errors.Join(bootErr, coreErr); err != nil {
		return err
	}
	defer unix.Sync()
	return writeBIOSLoader("/dev/"+disk, boot, core)
}

// onPartition runs f with the partition mounted.
func onPartition(device, kind string, f func(dir string) error) error {
	dir := filepath.Join(mountPoint, filepath.Base(device))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(device, dir, kind, unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	return errors.Join(f(dir), unix.Unmount(dir, 0))
}

func writeState(dir string) error {
	return errors.Join(
		copyFile(filepath.Join(dir, "cOS/active.img"), systemImage),
		copyFile(filepath.Join(dir, "boot/kernel"), "/boot/kernel"),
		copyFile(filepath.Join(dir, "boot/initrd"), "/boot/initrd"),
		writeFile(filepath.Join(dir, "boot/grub2/grub.cfg"), []byte(grubConfig), 0o644),
	)
}

func writeUEFILoader(dir string) error {
	return copyFile(filepath.Join(dir, fallbackPath), filepath.Join(loaders, "BOOTX64.EFI"))
}

// writeConfig keeps the whole configuration on the installed system, secrets
// included, as the original does.
func (i installer) writeConfig(dir string) error {
	text, err := i.config.file()
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "90_custom.yaml"), text, 0o600)
}

func writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, mode)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// command runs a program of the live system; its error carries what it said.
func command(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
