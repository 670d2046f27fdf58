package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/images/ramdisk"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) ramdiskCommands() *cobra.Command {
	return group("ramdisk", "The discovery ramdisk that hosts boot first", s.ramdiskBuild())
}

// parts is what a ramdisk is built from.
type parts struct {
	ramdisk.Options
	loader ramdisk.Loader // nothing: no ISO is made
}

func (p parts) files() []string {
	files := append([]string{p.KernelDeb, p.Scout}, p.Firmware...)
	if p.loader.Shim != "" {
		files = append(files, p.loader.Shim, p.loader.GRUB)
	}
	return files
}

func (s *session) ramdiskBuild() *cobra.Command {
	p := parts{Options: ramdisk.Options{Version: version}}
	name := "ramdisk"
	cmd := &cobra.Command{
		Use: "build --kernel x.deb --scout FILE [--shim x.deb --grub x.deb]", Short: "Build the discovery ramdisk and store it", Args: exactly(0),
		Long: "Build the discovery ramdisk from a Debian kernel package and the scout, and\n" +
			"store it as an image; hosts boot the newest one. With Debian's signed boot\n" +
			"loaders it is an ISO, which UEFI hosts boot from virtual media too, with\n" +
			"Secure Boot on or off. It needs no apt and no other tool.",
		Example: "  muster ramdisk build --kernel linux-image-6.1.0-42-amd64.deb --scout ./scout --firmware firmware-bnx2.deb \\\n" +
			"    --shim shim-signed_amd64.deb --grub grub-efi-amd64-signed_amd64.deb",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.KernelDeb == "" || p.Scout == "" {
				return usage("name the kernel package and the scout: %s", cmd.UseLine())
			}
			if (p.loader.Shim == "") != (p.loader.GRUB == "") {
				return usage("a medium needs both boot loaders: give --shim and --grub, or neither")
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if _, err := c.Version(cmd.Context()); err != nil {
				return err // before the minute that building takes
			}
			for _, file := range p.files() {
				if _, err := os.Stat(file); err != nil {
					return usageError{err}
				}
			}
			i, err := s.buildRamdisk(cmd.Context(), c, name, p)
			if err != nil {
				return err
			}
			return s.show(imageCard(i))
		},
	}
	cmd.Flags().StringVar(&p.KernelDeb, "kernel", "", "a linux-image package, as a file")
	cmd.Flags().StringVar(&p.Scout, "scout", "", "the static scout binary")
	cmd.Flags().StringArrayVar(&p.Firmware, "firmware", nil, "directory or package with firmware blobs; may come again")
	cmd.Flags().StringVar(&p.loader.Shim, "shim", "", "the package shim-signed, or the signed shim itself")
	cmd.Flags().StringVar(&p.loader.GRUB, "grub", "", "the package grub-efi-amd64-signed, or the signed GRUB for a CD itself")
	cmd.Flags().StringVar(&name, "name", name, "name of the image")
	return s.reading(cmd)
}

// buildRamdisk builds into temporary files, and stores them.
func (s *session) buildRamdisk(ctx context.Context, c *client.Client, name string, p parts) (i v1.Image, err error) {
	dir, err := os.MkdirTemp("", "muster-ramdisk-")
	if err != nil {
		return v1.Image{}, fmt.Errorf("make a directory to build in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	first, err := os.Create(dir + "/first") // the ISO, or the kernel
	if err != nil {
		return v1.Image{}, fmt.Errorf("make a file to build in: %w", err)
	}
	defer first.Close()
	if p.loader.Shim != "" {
		return s.storeMedium(ctx, c, name, p, first)
	}
	initrd, err := os.Create(dir + "/initrd")
	if err != nil {
		return v1.Image{}, fmt.Errorf("make a file to build in: %w", err)
	}
	defer initrd.Close()
	made, err := s.build(p.Options, func(o ramdisk.Options) (ramdisk.Manifest, error) { return ramdisk.Build(ctx, o, first, initrd) })
	if err != nil {
		return v1.Image{}, err
	}
	s.say("note: hosts cannot boot it from virtual media, only from the network; --shim and --grub make it an ISO")
	return c.AddRamdisk(ctx, client.Ramdisk{
		Name: name, Version: describe(made),
		Kernel: io.NewSectionReader(first, 0, made.KernelBytes), KernelSize: made.KernelBytes,
		Initrd: io.NewSectionReader(initrd, 0, made.InitrdBytes), InitrdSize: made.InitrdBytes,
	})
}

func (s *session) storeMedium(ctx context.Context, c *client.Client, name string, p parts, iso *os.File) (v1.Image, error) {
	made, err := s.build(p.Options, func(o ramdisk.Options) (ramdisk.Manifest, error) { return ramdisk.BuildMedium(ctx, o, p.loader, iso) })
	if err != nil {
		return v1.Image{}, err
	}
	info, err := iso.Stat()
	if err != nil {
		return v1.Image{}, fmt.Errorf("read the medium: %w", err)
	}
	return c.AddRamdisk(ctx, client.Ramdisk{Name: name, Version: describe(made), ISO: io.NewSectionReader(iso, 0, info.Size()), ISOSize: info.Size()})
}

// build shows one bar for each stage.
func (s *session) build(o ramdisk.Options, run func(ramdisk.Options) (ramdisk.Manifest, error)) (ramdisk.Manifest, error) {
	var stage string
	bar := &meter{}
	o.Progress = func(now string, done, total int64) {
		if now != stage {
			bar.done(nil)
			stage, bar = now, s.newMeter(now, total)
		}
		bar.set(done)
	}
	made, err := run(o)
	bar.done(err)
	if err != nil {
		return ramdisk.Manifest{}, fmt.Errorf("build the ramdisk: %w", err)
	}
	if len(made.Absent) > 0 {
		s.say("note: this kernel has no driver %s", strings.Join(made.Absent, ", "))
	}
	return made, nil
}

// describe is what people see of a ramdisk among the images; scout is what the
// scout in it will call itself.
func describe(m ramdisk.Manifest) map[string]string {
	return map[string]string{
		"scout": m.Version, "kernel": m.Kernel,
		"modules": strconv.Itoa(len(m.Modules)), "firmware": strconv.Itoa(len(m.Firmware)),
		"missing_firmware": strconv.Itoa(len(m.Missing)),
	}
}
