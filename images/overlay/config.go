package overlay

import (
	"io"

	"github.com/muster-boot/muster/images/iso"
)

// scanConfigs finds the configurations in the tree that people see.
func scanConfigs(r io.ReaderAt, v *iso.Volume) ([]Config, error) {
	var out []Config
	err := v.Walk(func(f iso.File) error {
		syntax, ok := syntaxOf(f.Path)
		if !ok || f.Dir || f.Target != "" || f.Size == 0 || f.Size > maxConfig {
			return nil
		}
		text := make([]byte, f.Size)
		if err := readFull(f.Content(r), text, 0); err != nil {
			return err
		}
		if _, places := (arguments{}).edit(syntax, string(text)); places > 0 {
			out = append(out, Config{Path: f.Path, Syntax: syntax})
		}
		return nil
	})
	return out, err
}

// fatConfigs finds the configurations in the boot images that hold a FAT file
// system. One that cannot be read has none: what firmware makes of it is not
// for us to say.
func fatConfigs(r io.ReaderAt, size int64, images []bootImage) []Config {
	var out []Config
	seen := map[int64]bool{}
	for _, image := range images {
		if !image.efi || seen[image.Offset] {
			continue
		}
		seen[image.Offset] = true
		f, err := openFAT(r, image.Offset, size)
		if err != nil {
			continue
		}
		var found []Config
		err = f.walk(func(name string, file FATFile) error {
			syntax, ok := syntaxOf(name)
			if !ok {
				return nil
			}
			text, err := file.read(r)
			if err != nil {
				return err
			}
			if _, places := (arguments{}).edit(syntax, string(text)); places > 0 {
				found = append(found, Config{Path: name, Syntax: syntax, FAT: &file})
			}
			return nil
		})
		if err == nil {
			out = append(out, found...)
		}
	}
	return out
}
