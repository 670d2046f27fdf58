package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/muster-boot/muster/provisioner/seal"
)

func open(t *testing.T, path string) *seal.Box {
	t.Helper()
	b, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatWasSealedOpensAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, plain := range []string{"", "a secret", strings.Repeat("long ", 1<<16)} {
		sealed := open(t, path).Seal([]byte(plain), "a-1")
		if plain != "" && bytes.Contains(sealed, []byte(plain)) {
			t.Error("the secret can be read")
		}
		got, err := open(t, path).Open(sealed, "a-1")
		if err != nil || string(got) != plain {
			t.Errorf("opened %.20q, %v; want %.20q", got, err, plain)
		}
	}
}

func TestTheSameSealedTwiceLooksDifferent(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "key"))
	if bytes.Equal(b.Seal([]byte("same"), "a-1"), b.Seal([]byte("same"), "a-1")) {
		t.Error("one can see that the same was sealed twice")
	}
}

func TestNothingOpensThatWasChangedOrIsAnothers(t *testing.T) {
	dir := t.TempDir()
	b := open(t, filepath.Join(dir, "key"))
	sealed := b.Seal([]byte("a secret"), "a-1")
	flipped := func(i int) []byte {
		c := bytes.Clone(sealed)
		c[i] ^= 1
		return c
	}
	for name, c := range map[string]struct {
		box     *seal.Box
		sealed  []byte
		context string
	}{
		"another context":    {b, sealed, "a-2"},
		"another key":        {open(t, filepath.Join(dir, "other")), sealed, "a-1"},
		"another format":     {b, flipped(0), "a-1"},
		"a flipped nonce":    {b, flipped(1), "a-1"},
		"a flipped last bit": {b, flipped(len(sealed) - 1), "a-1"},
		"cut off":            {b, sealed[:len(sealed)-1], "a-1"},
		"nothing but format": {b, sealed[:1], "a-1"},
		"nothing":            {b, nil, "a-1"},
	} {
		if plain, err := c.box.Open(c.sealed, c.context); !errors.Is(err, seal.ErrSealed) || plain != nil {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

func TestTheKeyIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Fatalf("%v, %v", info, err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Open(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestAKeyOfAnotherSizeIsRefusedAndLeftAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, text := range []string{"", "short", strings.Repeat("x", 33)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Open(path); err == nil || !strings.Contains(err.Error(), "is not a key of 32 bytes") {
			t.Errorf("%d bytes: %v", len(text), err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != text {
			t.Errorf("the file was changed to %q, %v", now, err)
		}
	}
}

func TestTwoThatMakeTheKeyAtOnceHaveTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	boxes := make([]*seal.Box, 8)
	var all sync.WaitGroup
	for i := range boxes {
		all.Go(func() { boxes[i], _ = seal.Open(path) })
	}
	all.Wait()
	for i, b := range boxes {
		if b == nil {
			t.Fatalf("box %d did not open", i)
		}
		if _, err := b.Open(boxes[0].Seal([]byte("x"), ""), ""); err != nil {
			t.Errorf("box %d has a key of its own: %v", i, err)
		}
	}
}

func TestADirectoryThatIsMissingIsSaid(t *testing.T) {
	if _, err := seal.Open(filepath.Join(t.TempDir(), "gone", "key")); err == nil {
		t.Error("a key was made nowhere")
	}
}
