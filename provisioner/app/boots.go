package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
)

// Names of what `muster ramdisk build` leaves in the catalog: two files, or an
// ISO with them that firmware boots from a CD.
const (
	scoutFamily      = "scout"
	scoutISOFamily   = "scout-iso"
	scoutVersionMeta = "scout"
)

// newestScout is the discovery ramdisk that hosts boot now.
func newestScout(c *images.Catalog) (images.Image, bool) {
	return c.Newest(scoutFamily, scoutISOFamily)
}

// filePrefix is where the boot plane serves the files of images. Below it come
// the attempt, the image's digest and the file's path in the image.
const filePrefix = "/image/"

// What is served of an image as a whole, beside the files in it.
const (
	wholeDisk = "/disk"      // of a disk image
	wholeISO  = "/image.iso" // of an ISO whose installer fetches all of it
)

// orders is where an order's template and secrets are read.
type orders interface {
	Order(ctx context.Context, name provisioner.OrderName) (provisioner.Order, error)
}

// boots joins hosts and images: it fills the recipe of an image in for one
// host and one attempt. It implements [engine.Installer]; render.go has what is
// made once for each attempt.
type boots struct {
	catalog  *images.Catalog
	orders   orders
	site     recipe.Site
	networks map[string]network // by interface
}

// scout is the discovery ramdisk for h, which reaches the boot plane at root.
func (b *boots) scout(h provisioner.Host, root string) (inventory.Netboot, error) {
	image, ok := newestScout(b.catalog)
	if !ok {
		return inventory.Netboot{}, errors.New(noRamdisk)
	}
	if h.Status.Key == "" {
		return inventory.Netboot{}, fmt.Errorf("host %s is %s and needs no scout", h.ID, h.Status.Phase)
	}
	return b.netboot(image, recipe.BootURLs{
		Files:  filesURL(root, h, image),
		Server: root, Token: h.Status.Key.Reveal(), Host: string(h.ID),
	}, nil)
}

const noRamdisk = "there is no discovery ramdisk, so no host can be looked at; make one with: muster ramdisk build --kernel linux-image-....deb --scout FILE"

// installer is the installer of h's image with what its attempt adds; h reaches
// the boot plane at root.
func (b *boots) installer(h provisioner.Host, r provisioner.Rendering, root string) (inventory.Netboot, error) {
	image, err := b.image(h, r.Image)
	if err != nil {
		return inventory.Netboot{}, err
	}
	base, files := attemptURL(root, h), filesURL(root, h, image)
	return b.netboot(image, recipe.BootURLs{
		Files: files, ISO: files + wholeISO, Config: base + configPath, Seed: base + seedPath,
		Server: root, Host: string(h.ID), Disk: diskName(h),
	}, r.Args)
}

// image is what h is installed from. Of one that is damaged nothing is served, so
// nothing is begun with it.
func (b *boots) image(h provisioner.Host, digest string) (images.Image, error) {
	image, err := b.catalog.Get(digest)
	if err != nil {
		return images.Image{}, operator("the image of order %s: %w", h.Intent.Order, err)
	}
	if len(image.Damage) > 0 {
		return images.Image{}, operator("image %s: %w", title(image), images.ErrDamaged)
	}
	return image, nil
}

// title is how a sentence names an image.
func title(image images.Image) string {
	const shown = 12 // digits
	return cmp.Or(image.Name, image.Digest[:min(shown, len(image.Digest))])
}

// Paths below an attempt's root, as package api serves them.
const (
	configPath = "/config"
	seedPath   = "/seed"
)

// filesURL is where h's present attempt finds the files of an image.
func filesURL(root string, h provisioner.Host, image images.Image) string {
	return root + filePrefix + string(h.Status.Attempt.ID) + "/" + image.Digest
}

// attemptURL is below which the routes of h's present attempt lie.
func attemptURL(root string, h provisioner.Host) string {
	a := h.Status.Attempt
	return root + api.AttemptRoot + "/" + string(a.ID) + "/" + a.Token.Reveal()
}

// diskName is the disk of h's present attempt, as it is called below
// /dev/disk/by-id.
func diskName(h provisioner.Host) string {
	return strings.TrimPrefix(h.Status.Attempt.Disk, "/dev/disk/by-id/")
}

func (b *boots) netboot(image images.Image, urls recipe.BootURLs, args []string) (inventory.Netboot, error) {
	r, err := b.recipe(image)
	if err != nil {
		return inventory.Netboot{}, err
	}
	n, err := r.Netboot(urls, args)
	if err != nil {
		return inventory.Netboot{}, fmt.Errorf("fill in the recipe of image %s: %w", title(image), err)
	}
	return inventory.Netboot{Kernel: n.Kernel, Initrds: n.Initrds, Cmdline: n.Cmdline}, nil
}

func (b *boots) recipe(image images.Image) (recipe.Recipe, error) {
	r, ok := b.catalog.Recipe(image)
	if !ok {
		return r, operator("image %s is of no family that muster knows: %s", title(image), strings.Join(image.Lacks, "; "))
	}
	return r, nil
}

// Netboot implements [engine.Installer].
func (b *boots) Netboot(_ context.Context, h provisioner.Host, r provisioner.Rendering) (inventory.Netboot, error) {
	root, err := b.root(h)
	if err != nil {
		return inventory.Netboot{}, err
	}
	return b.installer(h, r, root)
}

// Write implements [engine.Installer].
func (b *boots) Write(_ context.Context, h provisioner.Host, r provisioner.Rendering) (inventory.Write, error) {
	root, err := b.root(h)
	if err != nil {
		return inventory.Write{}, err
	}
	image, err := b.image(h, r.Image)
	if err != nil {
		return inventory.Write{}, err
	}
	w := inventory.Write{
		URL: filesURL(root, h, image) + wholeDisk, Coding: image.Coding, Digest: image.Digest, Size: image.Size,
		Disk: diskName(h), Serial: target(h).Serial,
	}
	for _, d := range r.Seed {
		w.Seed = append(w.Seed, inventory.SeedFile{Name: d.Name, Content: string(d.Content)})
	}
	return w, nil
}

// hostName is the row's name, or else one that is unique and a valid label.
func hostName(h provisioner.Host) string {
	if h.Intent.Row.Name != "" {
		return h.Intent.Row.Name
	}
	return string(h.ID)
}

// Base implements [engine.Installer]. It is empty where Render, which carries
// what is made of it, says why there is none.
func (b *boots) Base(h provisioner.Host) string {
	root, err := b.root(h)
	if err != nil {
		return ""
	}
	return attemptURL(root, h)
}

// operator is a fault that a person must mend.
func operator(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(format, args...)}
}

// ScoutVersion implements [engine.Installer].
func (b *boots) ScoutVersion() string {
	image, ok := newestScout(b.catalog)
	if !ok {
		return ""
	}
	return image.Meta[scoutVersionMeta]
}

// reasons says what does not work yet.
func (b *boots) reasons() []string {
	if _, ok := newestScout(b.catalog); !ok {
		return []string{noRamdisk}
	}
	return nil
}
