package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/overlay"
)

// The image that is served: the size of an installer's DVD, with as many files
// as a package pool has.
const (
	benchBytes = 2 << 30
	benchFiles = 8000
)

// How each case is measured: rounds in which every server has its turn.
const (
	benchRounds = 5
	benchWindow = 2 * time.Second
)

// benchImages holds serving and importing images against the programs that
// people would use otherwise, all in this run, turn by turn.
func benchImages(ctx context.Context, out io.Writer) error {
	return withBenchImage(ctx, func(image string) error {
		return errors.Join(
			benchOverlay(out, image),
			benchImport(ctx, out, image),
			benchServing(ctx, out, image),
		)
	})
}

// withBenchImage has use measure with an image that is made for it.
func withBenchImage(ctx context.Context, use func(image string) error) error {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	image, err := makeBenchImage(ctx, dir)
	if err != nil {
		return err
	}
	return use(image)
}

// makeBenchImage makes the image and leaves it in the page cache.
func makeBenchImage(ctx context.Context, dir string) (string, error) {
	tree, image := filepath.Join(dir, "tree"), filepath.Join(dir, "image.iso")
	files := map[string]int64{"boot/grub/grub.cfg": 0, "rootfs.squashfs": benchBytes}
	for i := range benchFiles {
		files[fmt.Sprintf("pool/%02d/%02d/package-%05d_amd64.deb", i%20, i/20%20, i)] = 1
	}
	for name, size := range files {
		if err := makeBenchFile(filepath.Join(tree, name), size); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-joliet-long", "-o", image, tree)
	if words, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("xorriso: %w\n%s", err, words)
	}
	return image, os.RemoveAll(tree)
}

// makeBenchFile makes a file of random bytes, or with kernel arguments if size
// is 0.
func makeBenchFile(name string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if size == 0 {
		return os.WriteFile(name, []byte("linux /boot/kernel quiet\n"), 0o644)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.Reader, size)
	return errors.Join(err, f.Close())
}

// Goals of an overlay.
const (
	overlayTime = 5 * time.Millisecond
	overlayHeld = 256 << 10
)

// benchOverlay measures what one host's ISO costs.
func benchOverlay(out io.Writer, image string) error {
	f, x, err := scan(image)
	if err != nil {
		return err
	}
	defer f.Close()
	var took []float64
	var o *overlay.Overlay
	for range 100 {
		began := time.Now()
		if o, err = overlay.Build(f, x, hostChanges()); err != nil {
			return err
		}
		took = append(took, time.Since(began).Seconds()*1e3)
	}
	s := spreadOf(took)
	ok := s.median <= overlayTime.Seconds()*1e3 && o.Held() <= overlayHeld
	fmt.Fprintf(out, "\noverlay of a %.1f GB ISO with %d files: %.2f ms (%.2f-%.2f), %d bytes held (goal: %v, %d) %s\n",
		float64(x.Size)/1e9, benchFiles, s.median, s.low, s.high, o.Held(), overlayTime, overlayHeld, verdict(ok))
	if !ok {
		return errors.New("building an overlay misses its goal")
	}
	return nil
}

// importGoal is the least speed of an import, in that of sha256sum.
const importGoal = 0.8

// benchImport holds adding the image to a catalog against sha256sum.
func benchImport(ctx context.Context, out io.Writer, image string) error {
	st, err := os.Stat(image)
	if err != nil {
		return err
	}
	var ours, theirs, ratios []float64
	for range 3 {
		began := time.Now()
		if err := exec.CommandContext(ctx, "sha256sum", image).Run(); err != nil {
			return fmt.Errorf("sha256sum: %w", err)
		}
		sum := time.Since(began)
		took, err := importOnce(ctx, image)
		if err != nil {
			return err
		}
		mb := float64(st.Size()) / 1e6
		ours, theirs = append(ours, mb/took.Seconds()), append(theirs, mb/sum.Seconds())
		ratios = append(ratios, sum.Seconds()/took.Seconds())
	}
	r := spreadOf(ratios)
	fmt.Fprintf(out, "import: %.0f MB/s, sha256sum %.0f MB/s, ratio %.2f (%.2f-%.2f) (goal: %.2f) %s\n",
		spreadOf(ours).median, spreadOf(theirs).median, r.median, r.low, r.high, importGoal, verdict(r.median >= importGoal))
	if r.median < importGoal {
		return fmt.Errorf("an import runs at %.2f of sha256sum's speed", r.median)
	}
	return nil
}

// importOnce adds the image to an empty catalog beside it.
func importOnce(ctx context.Context, image string) (time.Duration, error) {
	dir, err := os.MkdirTemp(filepath.Dir(image), "catalog-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	c, err := images.Open(dir, time.Now, images.Options{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	f, err := os.Open(image)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	began := time.Now()
	_, err = c.Add(ctx, f, images.AddOptions{})
	return time.Since(began), err
}
