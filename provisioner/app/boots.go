package app

import (
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

// Names of what `muster ramdisk build` leaves in the catalog.
const (
	scoutFamily      = "scout"
	scoutVersionMeta = "scout"
)

// filePrefix is where the boot plane serves the files of images. Below it come
// the attempt, the image's digest and the file's path in the image.
const filePrefix = "/image/"

// boots joins hosts and images: it fills the recipe of an image in for one
// host and one attempt. It implements [engine.Installer].
type boots struct {
	catalog  *images.Catalog
	networks map[string]network // by interface
}

// scout is the discovery ramdisk for h, which reaches the boot plane at root.
func (b *boots) scout(h provisioner.Host, root string) (inventory.Netboot, error) {
	image, ok := b.catalog.Newest(scoutFamily)
	if !ok {
		return inventory.Netboot{}, errors.New(noRamdisk)
	}
	if h.Status.Key == "" {
		return inventory.Netboot{}, fmt.Errorf("host %s is %s and needs no scout", h.ID, h.Status.Phase)
	}
	return netboot(image, recipe.BootURLs{
		Files:  filesURL(root, h, image),
		Server: root, Token: h.Status.Key.Reveal(), Host: string(h.ID),
	})
}

const noRamdisk = "there is no discovery ramdisk, so no host can be looked at; make one with: muster ramdisk build --kernel linux-image-....deb --scout FILE"

// installer is the installer of h's image; h reaches the boot plane at root.
func (b *boots) installer(h provisioner.Host, root string) (inventory.Netboot, error) {
	image, err := b.catalog.Get(h.Intent.Image)
	if err != nil {
		return inventory.Netboot{}, fmt.Errorf("the image of order %s: %w", h.Intent.Order, err)
	}
	return netboot(image, recipe.BootURLs{
		Files:  filesURL(root, h, image),
		Config: attemptURL(root, h) + "/config",
	})
}

// filesURL is where h's present attempt finds the files of an image.
func filesURL(root string, h provisioner.Host, image images.Image) string {
	return root + filePrefix + string(h.Status.Attempt.ID) + "/" + image.Digest
}

// attemptURL is below which the routes of h's present attempt lie.
func attemptURL(root string, h provisioner.Host) string {
	a := h.Status.Attempt
	return root + api.AttemptRoot + "/" + string(a.ID) + "/" + a.Token.Reveal()
}

func netboot(image images.Image, v recipe.BootURLs) (inventory.Netboot, error) {
	r, ok := recipe.Find(image.Family)
	if !ok {
		return inventory.Netboot{}, fmt.Errorf("image %s is of no family that boots from the network: %s", image.Name, strings.Join(image.Lacks, "; "))
	}
	n, err := r.Netboot(v, nil)
	if err != nil {
		return inventory.Netboot{}, fmt.Errorf("fill in the recipe of image %s: %w", image.Name, err)
	}
	return inventory.Netboot{Kernel: n.Kernel, Initrds: n.Initrds, Cmdline: n.Cmdline}, nil
}

// Render implements [engine.Installer].
func (b *boots) Render(_ context.Context, h provisioner.Host, carry map[string]any) (provisioner.Rendering, error) {
	if w := h.Intent.Way; w != "" && w != provisioner.WayNetboot {
		return provisioner.Rendering{}, operator("order %s wants its image by %s, which this muster cannot do: take the transport out of the order and import it again", h.Intent.Order, w)
	}
	root, err := b.root(h)
	if err != nil {
		return provisioner.Rendering{}, err
	}
	base := attemptURL(root, h)
	config, err := recipe.UserData(recipe.Host{
		Name:          hostName(h),
		Disk:          strings.TrimPrefix(h.Status.Attempt.Disk, "/dev/disk/by-id/"),
		PowerOff:      h.Intent.After == provisioner.AfterPowerOff,
		BeforeInstall: base + "/step/" + provisioner.StageWriting,
		AfterInstall:  base + "/step/" + provisioner.StageWritten,
		Booted:        base + "/booted",
		Handoff:       carry,
		Config:        h.Intent.Config,
	})
	if err != nil {
		return provisioner.Rendering{}, err
	}
	return provisioner.Rendering{Way: provisioner.WayNetboot, Documents: []provisioner.Document{
		{Name: "config", Type: "text/cloud-config; charset=utf-8", Content: config},
	}}, nil
}

// Netboot implements [engine.Installer].
func (b *boots) Netboot(_ context.Context, h provisioner.Host, _ provisioner.Rendering) (inventory.Netboot, error) {
	root, err := b.root(h)
	if err != nil {
		return inventory.Netboot{}, err
	}
	return b.installer(h, root)
}

// Write implements [engine.Installer].
func (b *boots) Write(_ context.Context, h provisioner.Host, r provisioner.Rendering) (inventory.Write, error) {
	return inventory.Write{}, fmt.Errorf("host %s was rendered for %s, which nobody asked for", h.ID, r.Way)
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

// root is the boot plane as h reaches it: our address on the network where it
// was seen last. Whoever serves a request of h's knows its network better.
func (b *boots) root(h provisioner.Host) (string, error) {
	if h.Facts.Sighting == nil {
		return "", operator("host %s was not seen on any network: boot it from the network", h.ID)
	}
	n, ok := b.networks[h.Facts.Sighting.Network]
	if !ok {
		return "", operator("host %s was last seen on %s, which muster no longer serves: add that network to the configuration, or boot the host on another",
			h.ID, h.Facts.Sighting.Network)
	}
	return n.base, nil
}

// operator is a fault that a person must mend.
func operator(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(format, args...)}
}

// ScoutVersion implements [engine.Installer].
func (b *boots) ScoutVersion() string {
	image, ok := b.catalog.Newest(scoutFamily)
	if !ok {
		return ""
	}
	return image.Meta[scoutVersionMeta]
}

// reasons says what does not work yet.
func (b *boots) reasons() []string {
	if _, ok := b.catalog.Newest(scoutFamily); !ok {
		return []string{noRamdisk}
	}
	return nil
}
