package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) imageCommands() *cobra.Command {
	return group("image", "Images: an IMAGE is a name or the beginning of a digest",
		s.imageAdd(), s.imageList(), s.imageShow(), s.imagePreview(), s.imageTag(), s.imageUntag(), s.imageRemove(), s.imageCollect(), s.imageScrub())
}

// openFile opens a regular file that was named on the command line.
func openFile(name string) (*os.File, int64, error) {
	if strings.Contains(name, "://") {
		return nil, 0, usage("%s is no file: the server fetches one image from one http or https URL; fetch other files yourself", name)
	}
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
	for _, i := range l {
		if len(i.Damage) > 0 {
			t.line(fmt.Sprintf("warning: image %s is damaged, so nothing of it is served: add it again", cmp.Or(i.Name, short(i.Digest))))
		}
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
	t.row("tags", strings.Join(i.Tags, ", "))
	t.row("digest", i.Digest)
	t.row("form", i.Form)
	t.row("size", size(i.Size))
	t.row("family", i.Family)
	t.row("label", i.Label)
	if i.Coding != "" {
		t.row("coding", i.Coding)
	}
	if len(i.Traits) > 0 {
		t.row("traits", strings.Join(i.Traits, ", "))
	}
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
	for _, d := range i.Damage {
		t.row("damage", fmt.Sprintf("%s: sha256 %s was expected, %s seen", cmp.Or(d.File, "all of it"), short(d.Expected), cmp.Or(short(d.Seen), d.Why)))
	}
	if i.Recipe != nil {
		recipeRows(t, *i.Recipe)
	}
	for _, step := range i.History {
		t.row("history", fmt.Sprintf("%s ago %s came to name %s", t.age(step.At), step.Tag, cmp.Or(short(step.Digest), "nothing")))
	}
}

// recipeRows tell how an image of the family boots.
func recipeRows(t *table, r v1.Recipe) {
	t.row("is", r.About)
	t.row("config", r.Format)
	if len(r.Netboot) > 0 {
		t.row("netboot", strings.Join(r.Netboot, " "))
	}
	if r.File != "" {
		t.row("media", strings.TrimSpace(r.File+" "+strings.Join(r.Media, " ")))
	}
	for _, w := range r.Ways {
		if w.WhyNot == "" {
			t.row("way", w.Transport)
		} else {
			t.row("no way", w.Transport+": "+w.WhyNot)
		}
	}
	t.row("ends", r.Ends)
	t.row("proven", cmp.Or(strings.Join(r.Proven, ", "), "none"))
}

func (s *session) imageTag() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "tag IMAGE TAG", Short: "Let a tag name an image; it moves from the one that it named", Args: exactly(2),
		Long: "Let a tag name an image; it moves from the one that it named. An order keeps the\n" +
			"image that it was imported with: import it again to have the later one.",
		Example: "  muster image tag ubuntu-24.04.3 ubuntu:current",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			i, err := c.Tag(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return s.show(imageCard(i))
		},
	})
}

func (s *session) imageUntag() *cobra.Command {
	return &cobra.Command{
		Use: "untag TAG", Short: "Let a tag name nothing; the image stays", Args: exactly(1), Example: "  muster image untag ubuntu:current",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			return c.Untag(cmd.Context(), args[0])
		},
	}
}

func (s *session) imageRemove() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images that no order names", Args: atLeast(1), Example: "  muster image rm edge-4.6",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			return s.each(args, func(ref string) error { return c.RemoveImage(cmd.Context(), ref, force) })
		},
	}
	cmd.Flags().BoolVar(&force, "force-untag", false, "also where other tags name it")
	return cmd
}

func (s *session) imageCollect() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "gc", Short: "Remove the images that neither a name nor an order names", Args: exactly(0), Example: "  muster image gc --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			g, err := c.CollectImages(cmd.Context(), dry)
			if err != nil {
				return err
			}
			return s.show(garbage(g))
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would go")
	return s.reading(cmd)
}

type garbage v1.Garbage

func (g garbage) table(t *table) {
	t.row("DIGEST", "SIZE", "FAMILY", "ADDED")
	for _, i := range g.Images {
		t.row(short(i.Digest), size(i.Size), i.Family, t.age(i.Added)+" ago")
	}
	t.line(fmt.Sprintf("%d images and %d fetched in part, %s", len(g.Images), g.Parts, size(g.Freed)))
}

func (s *session) imageScrub() *cobra.Command {
	return s.reading(&cobra.Command{
		Use: "scrub", Short: "Read all images again and name damage; exit 1 if there is any", Args: exactly(0), Example: "  muster image scrub",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			p := s.newProgress("scrub")
			damaged, err := c.ScrubImages(cmd.Context(), p.step)
			p.done(err)
			if err != nil {
				return err
			}
			if err := s.show(damage(damaged)); err != nil || len(damaged) == 0 {
				return err
			}
			return errNo
		},
	})
}

// damage are images that are not what was added.
type damage []v1.Image

func (d damage) table(t *table) {
	if len(d) == 0 {
		t.line("no damage")
		return
	}
	t.row("IMAGE", "FILE", "EXPECTED", "SEEN")
	for _, i := range d {
		for _, f := range i.Damage {
			t.row(cmp.Or(i.Name, short(i.Digest)), cmp.Or(f.File, "all of it"), short(f.Expected), cmp.Or(short(f.Seen), f.Why))
		}
	}
}
