package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner/api"
)

func TestOnlyItsOwnerCanOpenTheSocket(t *testing.T) {
	s := newSite(t)
	info, err := os.Stat(s.Socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestASecondMusterOnTheSameSocketIsRefused(t *testing.T) {
	s := newSite(t)
	_, err := api.ListenControl(s.Socket, http.NotFoundHandler())
	if err == nil || !strings.Contains(err.Error(), "another muster answers there") {
		t.Errorf("error %v", err)
	}
	if _, err := s.Version(t.Context()); err != nil {
		t.Errorf("the first one no longer answers: %v", err)
	}
}

func TestASocketThatWasLeftBehindIsReplacedAndAFileIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	control, err := api.ListenControl(path, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := control.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ListenControl(path, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("error %v", err)
	}
}

func TestAPathTooLongForASocketIsExplained(t *testing.T) {
	_, err := api.ListenControl("/"+strings.Repeat("x", 120), http.NotFoundHandler())
	if err == nil || !strings.Contains(err.Error(), "too long for a unix socket") {
		t.Errorf("error %v", err)
	}
}
