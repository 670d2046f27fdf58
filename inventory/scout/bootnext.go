package scout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The boot manager's variables (UEFI 2.10 §3.3) as efivarfs shows them: four
// bytes of attributes, then the value, here the number of a boot option.
const (
	efivarsDir  = "/sys/firmware/efi/efivars"
	bootCurrent = "BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	bootNext    = "BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	// non-volatile, boot service access, runtime access (UEFI 2.10 §8.2)
	bootNextAttributes = 0x7
)

// bootAgain makes the firmware take, once, the boot option that this boot came
// by. On a BIOS host there is nothing to write, and its boot order decides.
func bootAgain(dir string) error {
	current, err := os.ReadFile(filepath.Join(dir, bootCurrent))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which boot option started this boot: %w", err)
	}
	next, err := nextOf(current)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, bootNext), next, 0o644); err != nil {
		return fmt.Errorf("choose the next boot option: %w", err)
	}
	return nil
}

// nextOf turns the content of BootCurrent into that of BootNext.
func nextOf(current []byte) ([]byte, error) {
	if len(current) != 6 {
		return nil, fmt.Errorf("the firmware's BootCurrent has %d bytes instead of 6", len(current))
	}
	next := binary.LittleEndian.AppendUint32(nil, bootNextAttributes)
	return append(next, current[4:]...), nil
}
