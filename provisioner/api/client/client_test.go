package client

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestWhoIsNotLetInIsToldSo(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", errno)}
	}
	for errno, want := range map[syscall.Errno]string{
		syscall.EACCES:       "permission denied at /run/m.sock: only who runs muster may open it",
		syscall.ECONNREFUSED: "no muster answers at /run/m.sock (dial unix: connect: connection refused): start one with muster serve",
		syscall.ENOENT:       "no muster answers at /run/m.sock",
	} {
		if got := (&Unreachable{Server: "/run/m.sock", Err: dial(errno)}).Error(); !strings.HasPrefix(got, want) {
			t.Errorf("%v is told as %q, want %q", errno, got, want)
		}
	}
}
