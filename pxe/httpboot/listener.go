package httpboot

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// line is one connection with its slot. Being a *net.TCPConn, it has what the
// standard server looks for to send files without copying them.
type line struct {
	*net.TCPConn
	of    *listener
	rest  []byte    // of what came and was not taken; read first
	until time.Time // the read deadline, as a direct connection set it
	leave func()    // frees the slot

	mu  sync.Mutex // guards TCPConn and own against those who end the line
	own *os.File   // the socket, while it blocks and TCPConn is closed

	calls int // sends, since it blocks
}

// Read implements [net.Conn].
func (l *line) Read(b []byte) (int, error) {
	if len(l.rest) == 0 {
		return l.TCPConn.Read(b)
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// Close implements [net.Conn].
func (l *line) Close() error {
	defer l.leave()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropOwn()
	return l.TCPConn.Close()
}

// listener accepts a bounded number of connections.
type listener struct {
	*net.TCPListener
	slots    chan struct{}
	patience patience
	log      zerolog.Logger
	directs  directs
	returns  *returns
}

// listen binds one address.
func listen(ctx context.Context, addr netip.AddrPort, connections int, p patience, log zerolog.Logger) (*listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", addr.String())
	if err != nil {
		return nil, err
	}
	return &listener{
		TCPListener: l.(*net.TCPListener), slots: make(chan struct{}, connections), patience: p, log: log, returns: newReturns(l),
	}, nil
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) { return l.accept() }

// accept waits for a slot after the connection came, so that a closed listener
// is noticed; the kernel's queue holds the rest.
func (l *listener) accept() (*line, error) {
	conn, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	l.slots <- struct{}{}
	if err := giveUpStalled(conn); err != nil {
		l.log.Warn().Err(err).Msg("a connection keeps the system's time limit")
	}
	return &line{TCPConn: conn, of: l, leave: sync.OnceFunc(func() { <-l.slots })}, nil
}

// giveUpStalled has the kernel end a connection whose peer acknowledges nothing
// (TCP_USER_TIMEOUT, tcp(7)): a host that was switched off in mid-download.
func giveUpStalled(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stalled.Milliseconds()))
	})
	return errors.Join(err, set)
}

// returns is where the standard server accepts the connections that are its to
// answer.
type returns struct {
	net.Listener // for its address
	lines        chan *line
	closed       chan struct{}
	close        func()
}

func newReturns(l net.Listener) *returns {
	closed := make(chan struct{})
	return &returns{l, make(chan *line), closed, sync.OnceFunc(func() { close(closed) })}
}

// Accept implements [net.Listener].
func (r *returns) Accept() (net.Conn, error) {
	select {
	case l := <-r.lines:
		return l, nil
	case <-r.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (r *returns) Close() error {
	r.close()
	return nil
}

// give hands a line over; false when the server stops.
func (r *returns) give(l *line) bool {
	select {
	case r.lines <- l:
		return true
	case <-r.closed:
		return false
	}
}
