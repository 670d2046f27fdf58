package overlay

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Change is one wish for a host's image: a file, or kernel arguments.
type Change struct {
	// Path is where a file goes, absolute, in place of one that is there; its
	// directory must be. Empty for kernel arguments.
	Path    string `json:"path,omitempty"`
	Content []byte `json:"content,omitempty"`
	// Time is when the file was last changed, to the second; with Args, when the
	// configurations were. Zero leaves a file that is there its time, and gives
	// one that is new its directory's.
	Time time.Time `json:"time,omitzero"`
	// Args are kernel arguments put last in every boot loader configuration of
	// the image, where they are not yet.
	Args []string `json:"args,omitempty"`
	// Drop takes kernel arguments out first, by whole word or by name.
	Drop []string `json:"drop,omitempty"`
}

// Bounds on what one host may change, in bytes and in files.
const (
	maxContent = 64 << 20
	maxChanges = 1024
)

// check refuses a change that no image could take.
func (c Change) check() error {
	if year := c.Time.UTC().Year(); !c.Time.IsZero() && (year < firstYear || year > lastYear) {
		return fmt.Errorf("%w: its time stamps cannot say the year %d", ErrCannot, year)
	}
	if c.Path == "" {
		if len(c.Content) > 0 || len(c.Args)+len(c.Drop) == 0 {
			return fmt.Errorf("%w: a change has neither a path nor kernel arguments", ErrCannot)
		}
		for _, arg := range append(c.Args[:len(c.Args):len(c.Args)], c.Drop...) {
			if err := checkArgument(arg); err != nil {
				return err
			}
		}
		return nil
	}
	switch base := path.Base(c.Path); {
	case len(c.Args)+len(c.Drop) > 0:
		return fmt.Errorf("%w: the change of %s also has kernel arguments; make that a change of its own", ErrCannot, c.Path)
	case !strings.HasPrefix(c.Path, "/") || path.Clean(c.Path) != c.Path || base == "/" || strings.ContainsRune(c.Path, 0):
		return fmt.Errorf("%w: %q is not the clean, absolute path of a file", ErrCannot, c.Path)
	case len(c.Content) > maxContent:
		return fmt.Errorf("%w: %s would have %d bytes, more than %d", ErrCannot, c.Path, len(c.Content), maxContent)
	}
	return nil
}
