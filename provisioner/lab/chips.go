package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// firstInherited is the descriptor that a program gets the first of
// exec.Cmd.ExtraFiles as.
const firstInherited = 3

// inheritance is what QEMU gets of our open files, in order.
type inheritance []*os.File

// add takes ownership of the file and tells its descriptor in QEMU.
func (in *inheritance) add(f *os.File) int {
	*in = append(*in, f)
	return firstInherited + len(*in) - 1
}

// close closes our copies. One that is closed already is no matter.
func (in *inheritance) close() {
	for _, f := range *in {
		f.Close()
	}
}

// startTPM starts a TPM 2.0 with its state in a directory, and returns the
// socket at which it waits. It ends with the connection.
func startTPM(ns *Namespace, state string) (*exec.Cmd, *os.File, error) {
	if _, err := exec.LookPath("swtpm"); err != nil {
		return nil, nil, fmt.Errorf("%w: run make lab", err)
	}
	near, far, err := socketPair("TPM")
	if err != nil {
		return nil, nil, err
	}
	defer far.Close()
	cmd := ns.Command(context.Background(), "swtpm", "socket", "--tpm2", "--terminate",
		"--tpmstate", "dir="+state, "--ctrl", fmt.Sprintf("type=unixio,clientfd=%d", firstInherited))
	cmd.ExtraFiles = []*os.File{far}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, near.Close())
	}
	return cmd, near, nil
}
