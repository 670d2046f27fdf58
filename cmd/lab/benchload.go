package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// load is a way of asking for an image.
type load struct {
	name    string
	clients int
	length  int64 // of each range; 0 asks for the whole
}

// outcome is what a server did under a load.
type outcome struct {
	bytes int64
	took  time.Duration
	cpu   time.Duration
}

// rate is in GB (10^9 bytes) a second.
func (r outcome) rate() float64 { return float64(r.bytes) / 1e9 / r.took.Seconds() }

// cost is in CPU seconds a GiB.
func (r outcome) cost() float64 { return r.cpu.Seconds() / (float64(r.bytes) / (1 << 30)) }

// on has the clients ask a server again and again for a while, each on one
// connection. Bytes and CPU are counted when the time is up, wherever each
// answer stands.
func (l load) on(ctx context.Context, s server, path string, size int64, window time.Duration) (outcome, error) {
	conns := make([]*net.TCPConn, l.clients)
	for i := range conns {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
		if err != nil {
			return outcome{}, errors.Join(err, closeAll(conns[:i]))
		}
		conns[i] = c.(*net.TCPConn)
	}
	before, err := s.cpu()
	if err != nil {
		return outcome{}, errors.Join(err, closeAll(conns))
	}
	var read atomic.Int64
	sink := make([]byte, 1<<20)
	var asking sync.WaitGroup
	failed := make(chan error, l.clients)
	began := time.Now()
	for i, c := range conns {
		asking.Go(func() {
			a := asker{conn: c, path: path, size: size, length: l.length, read: &read, sink: sink, dice: rand.New(rand.NewPCG(1, uint64(i)))}
			failed <- a.run()
		})
	}
	out, err := wait(ctx, failed, window)
	if err == nil {
		out = outcome{bytes: read.Load(), took: time.Since(began)}
		after, cpuErr := s.cpu()
		out.cpu, err = after-before, cpuErr
	}
	err = errors.Join(err, closeAll(conns))
	asking.Wait()
	return out, err
}

// wait lets the window pass; a client that ends before fails it.
func wait(ctx context.Context, failed <-chan error, window time.Duration) (outcome, error) {
	timer := time.NewTimer(window)
	defer timer.Stop()
	select {
	case <-timer.C:
		return outcome{}, nil
	case err := <-failed:
		return outcome{}, err
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
}

func closeAll(conns []*net.TCPConn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// asker is one client.
type asker struct {
	conn   *net.TCPConn
	path   string
	size   int64
	length int64
	read   *atomic.Int64 // of all clients
	sink   []byte        // never written: the kernel is asked to drop what it has
	dice   *rand.Rand
}

// run asks until the connection is closed.
func (a asker) run() error {
	raw, err := a.conn.SyscallConn()
	if err != nil {
		return err
	}
	head := make([]byte, 4096)
	for {
		want, err := a.ask()
		if err != nil {
			return err
		}
		rest, err := a.head(head, want)
		if err != nil {
			return err
		}
		if err := a.drop(raw, rest); err != nil {
			return err
		}
	}
}

// ask sends a request and returns how long its answer must be.
func (a asker) ask() (int64, error) {
	lines := "GET " + a.path + " HTTP/1.1\r\nHost: bench\r\n"
	want := a.size
	if a.length > 0 {
		// Firmware and BMCs read whole sectors of a CD.
		const sector = 2048
		from := a.dice.Int64N((a.size-a.length)/sector) * sector
		lines += fmt.Sprintf("Range: bytes=%d-%d\r\n", from, from+a.length-1)
		want = a.length
	}
	_, err := a.conn.Write([]byte(lines + "\r\n"))
	return want, err
}

// head reads the answer's header, and returns how much of its body is to come.
func (a asker) head(b []byte, want int64) (int64, error) {
	n := 0
	for {
		m, err := a.conn.Read(b[n:])
		if err != nil {
			return 0, err
		}
		n += m
		header, body, ok := bytes.Cut(b[:n], []byte("\r\n\r\n"))
		if !ok {
			continue
		}
		if !bytes.HasPrefix(header, []byte("HTTP/1.1 20")) || !bytes.Contains(header, []byte("Content-Length: "+strconv.FormatInt(want, 10))) {
			return 0, fmt.Errorf("asked for %d bytes, the answer is %q", want, header)
		}
		a.read.Add(int64(len(body)))
		return want - int64(len(body)), nil
	}
}

// drop has the kernel throw n bytes away: MSG_TRUNC of tcp(7) copies nothing.
func (a asker) drop(raw syscall.RawConn, n int64) error {
	for n > 0 {
		var got int
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			got, _, failed = unix.Recvfrom(int(fd), a.sink[:min(n, int64(len(a.sink)))], unix.MSG_TRUNC|unix.MSG_DONTWAIT)
			return failed != unix.EAGAIN
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		if got == 0 {
			return errors.New("the server closed the connection in an answer")
		}
		n -= int64(got)
		a.read.Add(int64(got))
	}
	return nil
}
