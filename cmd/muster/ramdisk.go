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

func (s *session) ramdiskBuild() *cobra.Command {
	o := ramdisk.Options{Version: version}
	name := "ramdisk"
	cmd := &cobra.Command{
		Use: "build --kernel x.deb --scout FILE", Short: "Build the discovery ramdisk and store it", Args: exactly(0),
		Long: "Build the discovery ramdisk from a Debian kernel package and the scout, and\n" +
			"store it as an image; hosts boot the newest one. It needs no apt.",
		Example: "  muster ramdisk build --kernel linux-image-6.1.0-42-amd64.deb --scout ./scout --firmware firmware-bnx2.deb",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.KernelDeb == "" || o.Scout == "" {
				return usage("name the kernel package and the scout: %s", cmd.UseLine())
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if _, err := c.Version(cmd.Context()); err != nil {
				return err // before the minute that building takes
			}
			for _, file := range append([]string{o.KernelDeb, o.Scout}, o.Firmware...) {
				if _, err := os.Stat(file); err != nil {
					return usageError{err}
				}
			}
			i, err := s.buildRamdisk(cmd.Context(), c, name, o)
			if err != nil {
				return err
			}
			return s.show(imageCard(i))
		},
	}
	cmd.Flags().StringVar(&o.KernelDeb, "kernel", "", "a linux-image package, as a file")
	cmd.Flags().StringVar(&o.Scout, "scout", "", "the static scout binary")
	cmd.Flags().StringArrayVar(&o.Firmware, "firmware", nil, "directory or package with firmware blobs; may come again")
	cmd.Flags().StringVar(&name, "name", name, "name of the image")
	return s.reading(cmd)
}

// buildRamdisk builds into temporary files, and stores them.
func (s *session) buildRamdisk(ctx context.Context, c *client.Client, name string, o ramdisk.Options) (i v1.Image, err error) {
	dir, err := os.MkdirTemp("", "muster-ramdisk-")
	if err != nil {
		return v1.Image{}, fmt.Errorf("make a directory to build in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kernel, err := os.Create(dir + "/kernel")
	if err != nil {
		return v1.Image{}, fmt.Errorf("make a file to build in: %w", err)
	}
	defer kernel.Close()
	initrd, err := os.Create(dir + "/initrd")
	if err != nil {
		return v1.Image{}, fmt.Errorf("make a file to build in: %w", err)
	}
	defer initrd.Close()
	made, err := s.build(ctx, o, kernel, initrd)
	if err != nil {
		return v1.Image{}, err
	}
	return c.AddRamdisk(ctx, client.Ramdisk{
		Name: name, Version: describe(made),
		Kernel: io.NewSectionReader(kernel, 0, made.KernelBytes), KernelSize: made.KernelBytes,
		Initrd: io.NewSectionReader(initrd, 0, made.InitrdBytes), InitrdSize: made.InitrdBytes,
	})
}

// build shows one bar for each stage.
func (s *session) build(ctx context.Context, o ramdisk.Options, kernel, initrd io.Writer) (ramdisk.Manifest, error) {
	var stage string
	bar := &meter{}
	o.Progress = func(now string, done, total int64) {
		if now != stage {
			bar.done(nil)
			stage, bar = now, s.newMeter(now, total)
		}
		bar.set(done)
	}
	made, err := ramdisk.Build(ctx, o, kernel, initrd)
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
