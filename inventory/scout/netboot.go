package scout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muster-boot/muster/inventory"
)

const (
	// stalled ends a download that has brought nothing for so long.
	stalled = 30 * time.Second
	// progressEvery is how often a download says how far it is.
	progressEvery = 2 * time.Second
	// cpioAlign is what the kernel wants between two archives of an initrd.
	cpioAlign = 4
	// largestImage bounds what is taken into memory; it is far above any
	// installer's kernel and initrd.
	largestImage = 4 << 30
	// copies is how often an image is in memory at once while it is loaded: as
	// fetched, as the kernel reads it, and where it will be started.
	copies = 3
)

// ErrRefused is an answer of this host that will not change: it does not start
// kernels out of a running one.
var ErrRefused = errors.New("this host does not start another kernel from here")

// IsRefused tells an ErrRefused from an error that may pass.
func IsRefused(err error) bool { return errors.Is(err, ErrRefused) }

// netboot fetches a kernel and its initrds into memory and hands them to the
// running kernel.
type netboot struct {
	client *http.Client
	boot   string       // BOOTIF word for the next kernel; "" where unknown
	free   func() int64 // bytes of memory that can still be taken
}

// load fetches and loads. say is told about progress in sentences.
func (b netboot) load(ctx context.Context, n inventory.Netboot, say func(string)) error {
	kernel, err := b.fetch(ctx, "kernel", []string{n.Kernel}, say)
	if err != nil {
		return err
	}
	defer kernel.Close()
	initrd, err := b.fetch(ctx, "initrd", n.Initrds, say)
	if err != nil {
		return err
	}
	defer initrd.Close()
	return loadKernel(kernel, initrd, cmdline(n.Cmdline, b.boot), len(n.Initrds) == 0)
}

// cmdline adds what only the starting side knows.
func cmdline(given, boot string) string {
	if boot == "" {
		return given
	}
	return given + " " + boot
}

// fetch downloads urls one behind the other into a file in memory.
func (b netboot) fetch(ctx context.Context, name string, urls []string, say func(string)) (*os.File, error) {
	f, err := memoryFile(name)
	if err != nil {
		return nil, err
	}
	at := int64(0)
	for _, url := range urls {
		n, err := b.download(ctx, url, io.NewOffsetWriter(f, at), say)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("fetch %s: %w", url, err), f.Close())
		}
		at = align(at + n)
	}
	if err := f.Truncate(at); err != nil {
		return nil, errors.Join(fmt.Errorf("keep %s: %w", name, err), f.Close())
	}
	return f, nil
}

// align rounds up to where the kernel looks for the next archive.
func align(n int64) int64 { return (n + cpioAlign - 1) / cpioAlign * cpioAlign }

func memoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// download copies one URL to w and returns its size. It fails when the length
// promised does not come, or when nothing comes for a while.
func (b netboot) download(ctx context.Context, url string, w io.Writer, say func(string)) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	guard := time.AfterFunc(stalled, func() { cancel(fmt.Errorf("nothing came for %s", stalled)) })
	defer guard.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, errors.Join(err, context.Cause(ctx))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the server answers %s", resp.Status)
	}
	if err := fits(resp.ContentLength, b.free()); err != nil {
		return 0, err
	}
	p := &progress{w: w, guard: guard, name: path.Base(req.URL.Path), total: resp.ContentLength, say: say, next: time.Now().Add(progressEvery)}
	n, err := io.Copy(p, io.LimitReader(resp.Body, largestImage))
	if err != nil {
		return n, errors.Join(err, context.Cause(ctx))
	}
	if resp.ContentLength >= 0 && n != resp.ContentLength {
		return n, fmt.Errorf("it ended after %d of %d bytes", n, resp.ContentLength)
	}
	say(fmt.Sprintf("Fetched %s, %.1f MB.", p.name, megabytes(n)))
	return n, nil
}

// fits refuses an image that would leave the host without memory: the kernel
// would then end the scout, and with it itself.
func fits(size, free int64) error {
	if size > largestImage || size*copies > free {
		return fmt.Errorf("%w: it is %.0f MB, needed %d times at once, and %.0f MB of memory are free", ErrRefused, megabytes(size), copies, megabytes(free))
	}
	return nil
}

// progress writes through, pushes the stall guard back, and tells how far it is.
type progress struct {
	w           io.Writer
	guard       *time.Timer
	name        string
	done, total int64
	say         func(string)
	next        time.Time
}

func (p *progress) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.done += int64(n)
	p.guard.Reset(stalled)
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(progressEvery)
		p.say(fmt.Sprintf("Fetching %s: %.1f of %.1f MB.", p.name, megabytes(p.done), megabytes(p.total)))
	}
	return n, err
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }
