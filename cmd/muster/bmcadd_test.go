package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pair of ends: what a person types goes into the first, what a
// program reads comes out of the second.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = person.Close(), program.Close() })
	return person, program
}

func TestAPasswordThatIsTypedIsNotShown(t *testing.T) {
	person, program := terminal(t)
	asked := prompted{out: make(chan string, 8)}
	s := &session{in: program, err: asked}
	type answer struct {
		password string
		err      error
	}
	read := make(chan answer, 1)
	go func() {
		password, err := s.password("", "root", "alpha")
		read <- answer{password, err}
	}()
	if prompt := <-asked.out; prompt != "Password of root at the BMC of alpha: " {
		t.Errorf("it asks %q", prompt)
	}
	waitForNoEcho(t, program)
	if _, err := person.WriteString("hunter2\n"); err != nil {
		t.Fatal(err)
	}
	if a := <-read; a.err != nil || a.password != "hunter2" {
		t.Errorf("read %q, %v", a.password, a.err)
	}
	if _, err := program.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 64)
	n, err := person.Read(shown)
	if text := string(shown[:n]); err != nil || strings.Contains(text, "hunter2") {
		t.Errorf("the terminal shows %q, %v", text, err)
	}
}

// prompted passes on what a program says.
type prompted struct{ out chan string }

func (p prompted) Write(text []byte) (int, error) {
	p.out <- string(text)
	return len(text), nil
}

// waitForNoEcho returns when the terminal shows no more what is typed.
func waitForNoEcho(t *testing.T, program *os.File) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-look.C {
		settings, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if settings.Lflag&unix.ECHO == 0 {
			return
		}
	}
	t.Fatal("the terminal still shows what is typed")
}

func TestAPasswordComesFromWhereThePersonSaid(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	if _, err := write.WriteString("from the pipe\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/password"
	if err := os.WriteFile(file, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &session{in: read, err: new(bytes.Buffer)}
	for _, c := range []struct{ file, user, want, says string }{
		{"", "root", "", ""}, {"", "", "", ""}, {file, "root", "from the file", ""}, {"-", "root", "from the pipe", ""},
		{"-", "root", "", "no password came"}, {file + "2", "root", "", "no such file"},
	} {
		got, err := s.password(c.file, c.user, "alpha")
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("file %q: %q, %v; want %q, %q", c.file, got, err, c.want, c.says)
		}
	}
}
