package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// openFile opens the file at path, or makes it where there is none. A file
// is made under another name first: one that bears the right name is whole, so
// that an empty or half one is damage and never a start.
func openFile(path string) (*bolt.DB, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	db, err := openWhole(path)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", blame(path, err))
	}
	return db, nil
}

// blame says what a person can do about a file that does not open.
func blame(path string, err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("another program has %s open: end it: %w", path, err)
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err // the system says it, with the path
	}
	return fmt.Errorf("%s is damaged or not muster's, and was left as it is; "+
		"put a good copy in its place or move it away: %w", path, err)
}

func create(path string) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(fresh, 0o600, options(os.OpenFile))
	if err != nil {
		return fmt.Errorf("make %s: %w", fresh, err)
	}
	if err := errors.Join(db.Update(layOut), db.Close()); err != nil {
		return fmt.Errorf("make %s: %w", fresh, err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// options are those of bbolt. The list of free pages is kept in the file:
// without it bbolt looks for them in a goroutine of its own at every opening
// and after every failed write, where a damaged page ends the process.
func options(open func(string, int, os.FileMode) (*os.File, error)) *bolt.Options {
	return &bolt.Options{Timeout: defaultLockWait, FreelistType: bolt.FreelistMapType, OpenFile: open}
}

// openWhole opens an existing file and reads all of it. bbolt panics on pages
// that are not what they should be, and reading a file that was cut off is a
// memory fault: both become errors here.
func openWhole(path string) (db *bolt.DB, err error) {
	var file *os.File
	open := func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
		return file, err
	}
	faults := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(faults)
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, errors.Join(fmt.Errorf("%v", r), abandon(file))
		}
	}()
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil, errors.Join(errors.New("the file is empty"), err)
	}
	db, err = bolt.Open(path, 0o600, options(open))
	if err != nil {
		return nil, err
	}
	if err := db.View(readAll(file)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// abandon lets go of a file that bbolt panicked over. bbolt's mapping of it
// stays until the process ends, and would keep the lock even of a closed file.
func abandon(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// readAll returns a reader of every page that a transaction can reach.
func readAll(file *os.File) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if tx.Size() > info.Size() {
			return fmt.Errorf("%d bytes of %d are missing at its end", tx.Size()-info.Size(), tx.Size())
		}
		if err := checkLayout(tx); err != nil {
			return err
		}
		return errors.Join(
			tx.Bucket(bucketKV).ForEach(func(k, v []byte) error { _, err := itemRevision(k, v); return err }),
			tx.Bucket(bucketLog).ForEach(func(k, v []byte) error { _, err := decodeEvents(v); return err }),
		)
	}
}

// lockName is the file whose lock stands for the directory; it holds the
// process id of who has it, for the message to the next one.
const lockName = "muster.lock"

// lockRetry is how often a taken lock is tried again.
const lockRetry = 50 * time.Millisecond

func lockDir(ctx context.Context, dir string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	waited, cancel := context.WithTimeoutCause(ctx, wait, errTaken)
	defer cancel()
	err = flock(waited, f)
	if errors.Is(err, errTaken) {
		err = fmt.Errorf("another muster uses %s%s: stop it, or use another directory", dir, holder(f))
	} else if err == nil {
		err = writeHolder(f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data directory: %w", err), f.Close())
	}
	return f, nil
}

// errTaken is why flock stopped waiting for the lock's holder.
var errTaken = errors.New("the lock is taken")

func flock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// holder names the process in the lock file, as far as it can be read.
func holder(f *os.File) string {
	b := make([]byte, 16)
	n, _ := f.ReadAt(b, 0)
	pid := strings.TrimSpace(string(b[:n]))
	if pid == "" {
		return ""
	}
	return " (pid " + pid + ")"
}
