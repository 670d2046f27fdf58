package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// qmp is the control connection to one QEMU process, after the QEMU Machine
// Protocol. It is a pair of sockets made before QEMU starts, so it has no path
// that could be too long or taken. It is safe for concurrent use.
type qmp struct {
	conn net.Conn

	mu      sync.Mutex
	lines   *bufio.Scanner
	stopped string // why QEMU says that it stops; empty as long as it does not
}

// qmpDeadline bounds one command. QEMU answers at once unless the machine is
// drowning.
const qmpDeadline = 30 * time.Second

// qmpPair makes the connection: ours, and the end that QEMU inherits.
func qmpPair() (ours *qmp, theirs *os.File, err error) {
	near, theirs, err := socketPair("QMP")
	if err != nil {
		return nil, nil, err
	}
	defer near.Close()
	conn, err := net.FileConn(near)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make the control socket: %w", err)
	}
	return &qmp{conn: conn, lines: bufio.NewScanner(conn)}, theirs, nil
}

// socketPair makes two connected sockets.
func socketPair(what string) (a, b *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the sockets for %s: %w", what, err)
	}
	return os.NewFile(uintptr(fds[0]), what), os.NewFile(uintptr(fds[1]), what), nil
}

// greet reads QEMU's greeting and leaves its negotiation mode. It returns when
// QEMU is up, or with an error when it ended instead.
func (q *qmp) greet() error {
	if err := q.conn.SetDeadline(time.Now().Add(qmpDeadline)); err != nil {
		return err
	}
	q.mu.Lock()
	greeted := q.lines.Scan()
	q.mu.Unlock()
	if !greeted {
		return q.ended()
	}
	return q.execute(command{name: "qmp_capabilities"})
}

// command is one thing to ask of QEMU.
type command struct {
	name      string
	arguments map[string]any
}

// executeAll gives commands in order, up to the first that is refused.
func (q *qmp) executeAll(commands []command) error {
	for _, c := range commands {
		if err := q.execute(c); err != nil {
			return err
		}
	}
	return nil
}

// execute gives one command and waits for its answer; events are passed over.
func (q *qmp) execute(c command) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.conn.SetDeadline(time.Now().Add(qmpDeadline)); err != nil {
		return err
	}
	request := struct {
		Execute   string         `json:"execute"`
		Arguments map[string]any `json:"arguments,omitempty"`
	}{c.name, c.arguments}
	if err := json.NewEncoder(q.conn).Encode(request); err != nil {
		return fmt.Errorf("ask QEMU to %s: %w", c.name, err)
	}
	for q.lines.Scan() {
		answered, err := q.read(q.lines.Bytes())
		if err != nil {
			return fmt.Errorf("ask QEMU to %s: %w", c.name, err)
		}
		if answered {
			return nil
		}
	}
	return fmt.Errorf("ask QEMU to %s: %w", c.name, q.ended())
}

// ended says why there is no further line.
func (q *qmp) ended() error {
	if err := q.lines.Err(); err != nil {
		return err
	}
	return fmt.Errorf("QEMU has ended")
}

// resetEnded says that a QEMU which has ended did so for a reset, by whomever
// (RunState and ShutdownCause of QEMU's QAPI).
func (q *qmp) resetEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_ = q.conn.SetDeadline(time.Now().Add(qmpDeadline)) // what was said before the end can be read after it
	for q.lines.Scan() {
		_, _ = q.read(q.lines.Bytes()) // the last of it; nobody waits for an answer
	}
	return q.stopped == "guest-reset" || q.stopped == "host-qmp-system-reset"
}

// read tells an answer from an event; an answer may be a refusal.
func (q *qmp) read(line []byte) (answered bool, err error) {
	var m struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Desc string `json:"desc"`
		} `json:"error"`
		Event string `json:"event"`
		Data  struct {
			Reason string `json:"reason"`
		} `json:"data"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return false, err
	}
	if m.Event == "SHUTDOWN" {
		q.stopped = m.Data.Reason
	}
	if m.Error != nil {
		return false, fmt.Errorf("refused: %s", m.Error.Desc)
	}
	return m.Return != nil, nil
}
