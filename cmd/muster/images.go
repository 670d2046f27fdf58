package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) imageCommands() *cobra.Command {
	return group("image", "Images: an IMAGE is a name or the beginning of a digest",
		s.imageAdd(), s.imageList(), s.imageShow(), s.imageRemove())
}

func (s *session) imageAdd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Store an installer ISO", Args: exactly(1),
		Example: "  muster image add palette-edge-installer.iso --name edge-4.7",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, length, err := openFile(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			c, err := s.client()
			if err != nil {
				return err
			}
			if name == "" {
				name = strings.TrimSuffix(filepath.Base(args[0]), ".iso")
			}
			m := s.newMeter("add "+name, length)
			i, err := c.AddImage(cmd.Context(), name, length, m.reader(f))
			m.done(err)
			if err != nil {
				return err
			}
			return s.show(imageCard(i))
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name for people (default: the file's, without .iso)")
	return s.reading(cmd)
}

// openFile opens a regular file that was named on the command line.
func openFile(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, usageError{err}
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = f.Close() // nothing was read or written
		return nil, 0, usage("%s is no file", name)
	}
	return f, info.Size(), nil
}

func (s *session) imageList() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "list", Short: "List images", Args: exactly(0), Example: "  muster image list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			images, err := c.Images(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(imageList(images))
		},
	})
}

type imageList []v1.Image

func (l imageList) table(t *table) {
	t.row("IMAGE", "DIGEST", "SIZE", "FAMILY", "ADDED", "ORDERS")
	for _, i := range l {
		t.row(i.Name, short(i.Digest), size(i.Size), i.Family, t.age(i.Added)+" ago", strings.Join(i.Orders, ", "))
	}
}

func (s *session) imageShow() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "show IMAGE", Short: "Show one image", Args: exactly(1), Example: "  muster image show edge-4.7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			i, err := c.Image(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(imageCard(i))
		},
	})
}

type imageCard v1.Image

func (i imageCard) table(t *table) {
	t.row("image", i.Name)
	t.row("digest", i.Digest)
	t.row("size", size(i.Size))
	t.row("family", i.Family)
	t.row("label", i.Label)
	t.row("orders", strings.Join(i.Orders, ", "))
	for _, key := range slices.Sorted(maps.Keys(i.Version)) {
		t.row(key, i.Version[key])
	}
	for _, text := range i.Why {
		t.row("because", text)
	}
	for _, text := range i.Lacks {
		t.row("lacks", text)
	}
}

func (s *session) imageRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images that no order names", Args: atLeast(1), Example: "  muster image rm edge-4.6",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			for _, ref := range args {
				if err := c.RemoveImage(cmd.Context(), ref); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
