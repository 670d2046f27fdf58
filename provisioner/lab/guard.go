package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// prefix begins the name of every namespace and scratch directory of a lab;
// the number of the process that owns it follows.
const prefix = "muster-lab-"

// guardScript ends every process in the lab's namespaces and removes them and
// the scratch directory, once its standard input has ended. The pipe's other
// end is held by the lab's process alone, so the kernel gives the word when
// that process dies, be it by SIGKILL. The signals of a terminal are ignored:
// the one who cleans up must outlive a Ctrl-C.
const guardScript = `trap '' INT TERM HUP QUIT
read -r _
` + removeScript

// removeScript takes a lab's name and its scratch directory. It is one script
// for the ordinary end, the sudden end and the sweep.
const removeScript = `
for path in /run/netns/"$1" /run/netns/"$1"-*; do
	[ -e "$path" ] || continue
	ns=${path#/run/netns/}
	ip netns pids "$ns" | xargs -r kill -9 2>/dev/null
	ip netns del "$ns"
done
rm -rf -- "$2"
`

// guard is the process that removes a lab, whatever happens to the lab's own.
type guard struct {
	cmd    *exec.Cmd
	leash  io.Closer
	output *strings.Builder
	once   sync.Once
	err    error
}

// startGuard starts the guard in a session of its own, out of reach of a
// signal to the lab's process group.
func startGuard(name, scratch string) (*guard, error) {
	cmd := exec.Command("sh", "-c", guardScript, "guard", name, scratch)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = "/"
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	g := &guard{cmd: cmd, leash: leash, output: &strings.Builder{}}
	cmd.Stdout, cmd.Stderr = g.output, g.output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the lab's guard: %w", err)
	}
	return g, nil
}

// release lets go of the leash and waits until the guard has removed the lab.
func (g *guard) release() error {
	g.once.Do(func() {
		g.err = g.leash.Close()
		if err := g.cmd.Wait(); err != nil {
			g.err = fmt.Errorf("remove the lab: %w: %s", err, strings.TrimSpace(g.output.String()))
		}
	})
	return g.err
}

// sweep removes the labs of processes that no longer live, for the case that
// the guard was killed too. A number taken over by another process only delays
// the removal.
func sweep(ctx context.Context) error {
	var errs []error
	for _, name := range staleLabs(labNames(), alive) {
		scratch := filepath.Join(os.TempDir(), name)
		errs = append(errs, run(exec.CommandContext(ctx, "sh", "-c", removeScript, "sweep", name, scratch)))
	}
	return errors.Join(errs...)
}

// labNames lists the file names under which a lab, living or dead, may show.
func labNames() []string {
	var names []string
	for _, dir := range []string{namespaces, os.TempDir()} {
		found, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
		if err != nil {
			panic(err) // the pattern is ours and well formed
		}
		for _, path := range found {
			names = append(names, filepath.Base(path))
		}
	}
	return names
}

// staleLabs gives the names of the labs, each once, whose process is gone.
func staleLabs(names []string, alive func(pid int) bool) []string {
	var stale []string
	seen := map[string]bool{}
	for _, name := range names {
		lab, pid, ok := owner(name)
		if !ok || seen[lab] || alive(pid) {
			continue
		}
		seen[lab] = true
		stale = append(stale, lab)
	}
	return stale
}

// owner reads the lab's name and its process from the name of a namespace.
func owner(name string) (lab string, pid int, ok bool) {
	m := regexp.MustCompile(`^(` + prefix + `(\d+)-\d+)(-[a-z0-9]+)?$`).FindStringSubmatch(name)
	if m == nil {
		return "", 0, false
	}
	pid, err := strconv.Atoi(m[2])
	return m[1], pid, err == nil
}

// alive says whether the process exists. EPERM means that it does.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
