package httpboot

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// long answers with more than a socket takes: a patch, a file in pieces, a patch.
type long struct {
	file  *os.File
	began chan *line // at each piece, if there is room
	ended chan error
}

// pieces is how many mebibytes of the file an answer has; longBody is all of it.
const pieces = 40

func longBody() []byte {
	body := bytes.Repeat([]byte("0123456789abcde\n"), pieces<<20/16)
	for i := range pieces {
		copy(body[i<<20:], fmt.Sprint("piece ", i))
	}
	return append(append([]byte("before"), body...), "after"...)
}

func newLong(t *testing.T) *long {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	body := longBody()
	if err := os.WriteFile(path, body[len("before"):len(body)-len("after")], 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &long{file: f, began: make(chan *line, 1), ended: make(chan error, 100)}
}

func (l *long) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(pieces<<20+len("before")+len("after")))
	if _, direct := w.(*fileRecorder); !direct {
		w.Write(longBody())
		return
	}
	l.ended <- l.send(w.(*fileRecorder))
}

func (l *long) send(w *fileRecorder) error {
	if _, err := io.WriteString(w, "before"); err != nil {
		return err
	}
	for i := range int64(pieces) {
		if _, err := w.SendFile(l.file, i<<20, 1<<20); err != nil {
			return err
		}
		if w.answer.line.own != nil {
			select {
			case l.began <- w.answer.line:
			default:
			}
		}
	}
	_, err := io.WriteString(w, "after")
	return err
}

// want reads one long answer.
func (l *long) want(t *testing.T, in *bufio.Reader) {
	t.Helper()
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || !bytes.Equal(body, longBody()) {
		t.Fatalf("%d bytes of %d that are not the image's, or an error: %v", len(body), r.ContentLength, err)
	}
}

// begins waits for a line that blocks.
func (l *long) begins(t *testing.T) *line {
	t.Helper()
	select {
	case line := <-l.began:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("no long answer blocks")
		return nil
	}
}

func TestALineThatBlockedGoesOn(t *testing.T) {
	l := newLong(t)
	addr, stop := directServer(t, l, Options{}, patient)
	open := descriptors(t)
	conn, in := dial(t, addr)
	for _, path := range []string{"/d/a", "/d/a", "/n/a", "/d/a"} {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, get(path))
		l.want(t, in)
	}
	for range 2 {
		if err := <-l.ended; err != nil {
			t.Error(err)
		}
	}
	line := l.begins(t)
	if n := line.of.directs.blocking.Load(); n != 0 {
		t.Errorf("%d lines block after their answers", n)
	}
	conn.Close()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if now := descriptors(t); now > open {
		t.Errorf("%d descriptors, before %d", now, open)
	}
}

func TestAReaderThatStallsIsLeftToThePoller(t *testing.T) {
	l := newLong(t)
	addr, _ := directServer(t, l, Options{}, patient)
	conn, in := dial(t, addr)
	io.WriteString(conn, get("/d/a"))
	line := l.begins(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(20 * time.Second); line.of.directs.blocking.Load() > 0; <-tick.C {
		if time.Now().After(until) {
			t.Fatal("a thread still waits for it")
		}
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	l.want(t, in)
	io.WriteString(conn, get("/d/a"))
	l.want(t, in)
}

// TestALineThatBlocksIsCut has the server end it, and then the client.
func TestALineThatBlocksIsCut(t *testing.T) {
	l := newLong(t)
	addr, _ := directServer(t, l, Options{Connections: 1}, patient)
	for name, end := range map[string]func(l *line, c io.Closer){
		"server": func(l *line, _ io.Closer) { l.of.directs.cut() },
		"client": func(_ *line, c io.Closer) { c.Close() },
	} {
		conn, _ := dial(t, addr)
		io.WriteString(conn, get("/d/a"))
		end(l.begins(t), conn)
		select {
		case err := <-l.ended:
			if err == nil {
				t.Errorf("%s: an answer that nobody read is whole", name)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it is still sent", name)
		}
		for drained := false; !drained; { // what it said of earlier pieces
			select {
			case <-l.began:
			default:
				drained = true
			}
		}
	}
}

func TestNoMoreLinesBlockThanThereAreProcessors(t *testing.T) {
	of, err := listen(context.Background(), netip.AddrPortFrom(loopback, 0), 100, patient, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer of.Close()
	var lines []*line
	for range runtime.GOMAXPROCS(0) + 1 {
		dial(t, of.Addr().String())
		l, err := of.accept()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		lines = append(lines, l)
	}
	block := func(l *line) bool {
		raw, err := l.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		return l.block(raw)
	}
	for i, l := range lines {
		if got, want := block(l), i < len(lines)-1; got != want {
			t.Errorf("line %d blocks: %t", i, got)
		}
	}
	if err := lines[0].unblock(); err != nil {
		t.Fatal(err)
	}
	if !block(lines[len(lines)-1]) {
		t.Error("a line that came back leaves no room")
	}
	for _, l := range lines[1:] {
		l.Close()
	}
	if n := of.directs.blocking.Load(); n != 0 {
		t.Errorf("%d closed lines block", n)
	}
}
