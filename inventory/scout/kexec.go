package scout

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loadKernel is kexec_file_load(2). The kernel reads only from files that
// nobody can write, so both are opened anew.
func loadKernel(kernel, initrd *os.File, cmdline string, noInitrd bool) error {
	k, err := reopen(kernel)
	if err != nil {
		return err
	}
	defer k.Close()
	i, err := reopen(initrd)
	if err != nil {
		return err
	}
	defer i.Close()
	flags := 0
	if noInitrd {
		flags = unix.KEXEC_FILE_NO_INITRAMFS
	}
	return kexecError(unix.KexecFileLoad(int(k.Fd()), int(i.Fd()), cmdline, flags))
}

// reopen closes the way to write and gives one to read.
func reopen(f *os.File) (*os.File, error) {
	r, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("reopen %s: %w", f.Name(), err)
	}
	if err := f.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("reopen %s: %w", f.Name(), err), r.Close())
	}
	return r, nil
}

// kexecError sorts answers by whether asking again could help. The kernel has
// many ways to say no for good, such as EPERM under lockdown, EKEYREJECTED to a
// signature, ENOEXEC to a format, ENOSYS without the feature; a restart into the
// same kernel helps with each, so only what passes by itself is no refusal.
func kexecError(err error) error {
	if err == nil {
		return nil
	}
	for _, passing := range []error{unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ENOMEM} {
		if errors.Is(err, passing) {
			return fmt.Errorf("load the installer's kernel: %w", err)
		}
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// unloadKernel forgets a loaded kernel; there may be none.
func unloadKernel() { _ = unix.KexecFileLoad(-1, -1, "", unix.KEXEC_FILE_UNLOAD) }

// restart ends this system by the given command of reboot(2), disks synced.
func restart(how int) error {
	unix.Sync()
	if err := unix.Reboot(how); err != nil {
		return fmt.Errorf("leave this system: %w", err)
	}
	return errors.New("the kernel did not leave this system")
}

// freeMemory is what the kernel says can be taken without swapping (sysinfo(2)
// tells only what is idle; what is cached here are files of the ramdisk, which
// cannot be given back, so idle is the right figure).
func freeMemory() int64 {
	var i unix.Sysinfo_t
	if err := unix.Sysinfo(&i); err != nil {
		return 0
	}
	return int64(i.Freeram) * int64(i.Unit)
}
