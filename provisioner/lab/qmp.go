package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// qmp is the control connection to one QEMU process, after the QEMU Machine
// Protocol. It is a pair of sockets made before QEMU starts, so it has no path
// that could be too long or taken. It is not safe for concurrent use.
type qmp struct {
	conn  net.Conn
	lines *bufio.Scanner
}

// qmpDeadline bounds one command. QEMU answers at once unless the machine is
// drowning.
const qmpDeadline = 30 * time.Second

// qmpPair makes the connection: ours, and the end that QEMU inherits.
func qmpPair() (ours *qmp, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the control socket: %w", err)
	}
	near := os.NewFile(uintptr(fds[0]), "qmp")
	defer near.Close()
	theirs = os.NewFile(uintptr(fds[1]), "qmp of QEMU")
	conn, err := net.FileConn(near)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make the control socket: %w", err)
	}
	return &qmp{conn: conn, lines: bufio.NewScanner(conn)}, theirs, nil
}

// greet reads QEMU's greeting and leaves its negotiation mode. It returns when
// QEMU is up, or with an error when it ended instead.
func (q *qmp) greet() error {
	if err := q.conn.SetDeadline(time.Now().Add(qmpDeadline)); err != nil {
		return err
	}
	if !q.lines.Scan() {
		return q.ended()
	}
	return q.execute("qmp_capabilities", nil)
}

// execute gives one command and waits for its answer; events are passed over.
func (q *qmp) execute(command string, arguments any) error {
	if err := q.conn.SetDeadline(time.Now().Add(qmpDeadline)); err != nil {
		return err
	}
	request := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments}
	if err := json.NewEncoder(q.conn).Encode(request); err != nil {
		return fmt.Errorf("ask QEMU to %s: %w", command, err)
	}
	for q.lines.Scan() {
		answered, err := readAnswer(q.lines.Bytes())
		if err != nil {
			return fmt.Errorf("ask QEMU to %s: %w", command, err)
		}
		if answered {
			return nil
		}
	}
	return fmt.Errorf("ask QEMU to %s: %w", command, q.ended())
}

// ended says why there is no further line.
func (q *qmp) ended() error {
	if err := q.lines.Err(); err != nil {
		return err
	}
	return fmt.Errorf("QEMU has ended")
}

// readAnswer tells an answer from an event; an answer may be a refusal.
func readAnswer(line []byte) (answered bool, err error) {
	var m struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Desc string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return false, err
	}
	if m.Error != nil {
		return false, fmt.Errorf("refused: %s", m.Error.Desc)
	}
	return m.Return != nil, nil
}
