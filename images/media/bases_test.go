package media

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// opener opens a file, and keeps what it opened.
func opener(t *testing.T, opened *[]*os.File) func() (*os.File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "base")
	if err := os.WriteFile(path, []byte("the image"), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() (*os.File, error) {
		f, err := os.Open(path)
		*opened = append(*opened, f)
		return f, err
	}
}

func isOpen(f *os.File) bool {
	_, err := f.Stat()
	return err == nil
}

func TestRequestsShareABaseUntilNobodyHasReadItForAWhile(t *testing.T) {
	var opened []*os.File
	open := opener(t, &opened)
	synctest.Test(t, func(t *testing.T) {
		var b Bases
		use := func() (*os.File, func()) {
			f, release, err := b.Open("a", open)
			if err != nil {
				t.Fatal(err)
			}
			return f, release
		}
		first, releaseFirst := use()
		second, releaseSecond := use()
		if first != second || len(opened) != 1 {
			t.Fatalf("two requests opened it %d times", len(opened))
		}
		releaseFirst()
		<-time.After(2 * lingers)
		if !isOpen(first) {
			t.Fatal("it is closed while it is read")
		}
		releaseSecond()
		<-time.After(lingers / 2)
		if third, release := use(); third != first {
			t.Error("it was closed at once")
		} else {
			release()
		}
		<-time.After(lingers + time.Second)
		if isOpen(first) {
			t.Error("it stays open")
		}
		again, release := use()
		if len(opened) != 2 || !isOpen(again) {
			t.Errorf("it was opened %d times", len(opened))
		}
		if err := b.Close(); err != nil || !isOpen(again) {
			t.Errorf("closed under a reader: %v", err)
		}
		if release(); isOpen(again) {
			t.Error("it stays open after the end")
		}
		if _, _, err := b.Open("a", open); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestABaseThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	var b Bases
	defer b.Close()
	var opened []*os.File
	bad := func() (*os.File, error) { return nil, os.ErrPermission }
	if _, _, err := b.Open("a", bad); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
	f, release, err := b.Open("a", opener(t, &opened))
	if err != nil || !isOpen(f) {
		t.Fatal(err)
	}
	release()
	if err := b.Close(); err != nil || isOpen(f) {
		t.Errorf("it stays open: %v", err)
	}
}
