package httpboot

import (
	"errors"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// longAnswer is how much has to be left of an answer for its line to leave the
// poller and come back, which takes a dozen system calls.
const longAnswer = 16 << 20

// cork has only whole segments leave a long answer's line, as each room for a send
// ends in the middle of one (TCP_CORK, tcp(7)). Unless it is taken off, the kernel
// holds the last of the answer for 200 ms.
func cork(raw syscall.RawConn, on int) {
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on) // without it everything is sent, too
	})
}

// sendTime is how long a thread waits for a reader before the poller does
// (SO_SNDTIMEO, socket(7)).
const sendTime = time.Second

// block takes the line out of the runtime's poller and has the thread that sends
// wait in the kernel. A socket that the poller has wakes it whenever there is room
// again, even if the thread waits itself, and it wakes other threads of the runtime
// in turn, which find nothing to do. No more threads wait so than there are
// processors; false leaves the line as it is.
func (l *line) block(raw syscall.RawConn) bool {
	if l.of.directs.blocking.Add(1) > int32(runtime.GOMAXPROCS(0)) {
		l.of.directs.blocking.Add(-1)
		return false
	}
	l.mu.Lock() // so that it is cut before or behind the change
	defer l.mu.Unlock()
	own, err := blockingCopy(raw)
	if err != nil {
		l.of.directs.blocking.Add(-1)
		return false
	}
	l.own, l.calls = own, 0
	_ = l.TCPConn.Close() // the poller's handle; the socket has another
	return true
}

// blockingCopy is another handle of a socket, which blocks from then on.
func blockingCopy(raw syscall.RawConn) (*os.File, error) {
	var own *os.File
	var failed error
	err := raw.Control(func(fd uintptr) {
		limit := unix.NsecToTimeval(sendTime.Nanoseconds())
		if failed = unix.SetsockoptTimeval(int(fd), unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); failed != nil {
			return
		}
		var other int
		if other, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); failed != nil {
			return
		}
		if failed = unix.SetNonblock(other, false); failed != nil {
			_ = unix.Close(other)
			return
		}
		own = os.NewFile(uintptr(other), "")
	})
	return own, errors.Join(err, failed)
}

// callsATurn is how many sends, of a mebibyte or so each, go before another
// goroutine may run: at the speed of memory they take some 5 ms.
const callsATurn = 16

// turn begins a send of a line that blocks. The runtime takes the processor from a
// goroutine that had it for 10 ms, in every call from then on, and wakes its
// monitor with each return: so it is let go before, but not in every call, as
// that, too, wakes a thread.
func (l *line) turn() {
	l.calls++
	if l.calls%callsATurn == 0 {
		runtime.Gosched()
	}
}

// unblock gives the line back to the poller.
func (l *line) unblock() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn, err := net.FileConn(l.own)
	l.dropOwn()
	if err != nil {
		return err
	}
	l.TCPConn, l.until = conn.(*net.TCPConn), time.Time{}
	return nil
}

// dropOwn closes the handle that the poller has not. The caller holds mu.
func (l *line) dropOwn() {
	if l.own != nil {
		_ = l.own.Close() // what was written is the kernel's
		l.own = nil
		l.of.directs.blocking.Add(-1)
	}
}

// hurry has whoever reads from the line stop.
func (l *line) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.SetReadDeadline(time.Unix(1, 0)) // fails on a closed one only
}

// cut ends the line under whoever sends on it; that one's error says so.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.own != nil {
		_ = unix.Shutdown(int(l.own.Fd()), unix.SHUT_RDWR) // a close would not wake it
		return
	}
	_ = l.TCPConn.Close()
}
