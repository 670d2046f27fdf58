package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

func TestAFullDiskFailsTheTransactionAndNothingElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting a small disk needs root")
	}
	cmd := child(t, "fill", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fillDisk is the child with a disk of 1 MiB, in a mount namespace of its own.
func fillDisk(ctx context.Context, dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 256<<10), 0o600); err != nil {
		return err
	}
	e, err := boltstore.Open(ctx, dir, boltstore.Options{})
	if err != nil {
		return err
	}
	kept, err := fill(ctx, e)
	if err != nil {
		return err
	}
	if err := holds(ctx, e, kept); err != nil {
		return fmt.Errorf("on the full disk: %w", err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	revision, err := e.Txn(ctx, nil, []store.Op{store.Put("after", make([]byte, 8<<10))})
	if err != nil || revision != uint64(kept+1) {
		return fmt.Errorf("with space again: revision %d after %d: %w", revision, kept, err)
	}
	if err := e.Close(); err != nil {
		return err
	}
	e, err = boltstore.Open(ctx, dir, boltstore.Options{})
	if err != nil {
		return err
	}
	return errors.Join(holds(ctx, e, kept), e.Close())
}

// fill writes until the disk is full and returns how many transactions were
// taken. Several failures in a row must all be clean.
func fill(ctx context.Context, e store.Engine) (kept int, err error) {
	failures := 0
	for failures < 3 {
		_, err := e.Txn(ctx, nil, []store.Op{store.Put(fmt.Sprintf("fill/%06d", kept), make([]byte, 8<<10))})
		switch {
		case err == nil:
			kept++
		case errors.Is(err, store.ErrFull) && strings.Contains(err.Error(), "free some space"):
			failures++
		default:
			return 0, fmt.Errorf("want a sentence about the full disk, got: %w", err)
		}
	}
	if kept == 0 {
		return 0, errors.New("the disk was full before the first transaction")
	}
	return kept, nil
}

func holds(ctx context.Context, e store.Engine, kept int) error {
	items, _, err := e.List(ctx, store.Query{Prefix: "fill/"})
	if err != nil {
		return err
	}
	if len(items) != kept {
		return fmt.Errorf("%d items, want %d", len(items), kept)
	}
	for i, item := range items {
		if item.Revision != uint64(i+1) {
			return fmt.Errorf("%s is at revision %d, want %d", item.Key, item.Revision, i+1)
		}
	}
	return nil
}
