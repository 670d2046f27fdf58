package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is one line of `go test -json` (see: go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

// tally is what a test run came to.
type tally struct {
	passed, failed, skipped int
	slow                    []timed
	broken                  []string // packages that failed without a failed test: they did not build, or died
	output                  map[string][]string
}

type timed struct {
	name string
	took time.Duration
}

const slowestShown = 12

// report reads the events of `go test -json`, prints a line per package and the
// output of what failed, then the slowest tests, and last the count. It returns
// false when anything failed, or was skipped though strict.
func report(in io.Reader, out io.Writer, strict bool) (bool, error) {
	t := tally{output: map[string][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // the compiler's words come as they are
			continue
		}
		t.take(e, out)
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read test events: %w", err)
	}
	t.close(out)
	good := t.failed == 0 && len(t.broken) == 0 && t.passed > 0
	return good && !(strict && t.skipped > 0), nil
}

func (t *tally) take(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		t.output[key] = append(t.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.packageDone(e, out)
			return
		}
		t.testDone(e, key, out)
	}
}

func (t *tally) testDone(e event, key string, out io.Writer) {
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
		fmt.Fprintf(out, "%s", strings.Join(t.output[key], ""))
	case "skip":
		t.skipped++
		fmt.Fprintf(out, "%s", strings.Join(t.output[key], ""))
	}
	delete(t.output, key)
	t.slow = append(t.slow, timed{e.Package[strings.LastIndex(e.Package, "/")+1:] + " " + e.Test, seconds(e.Elapsed)})
}

func (t *tally) packageDone(e event, out io.Writer) {
	words := strings.Join(t.output[e.Package+" "], "")
	if e.Action == "fail" {
		t.broken = append(t.broken, e.Package)
		fmt.Fprint(out, words)
	}
	delete(t.output, e.Package+" ")
	if e.Action != "skip" { // a package without tests
		fmt.Fprintf(out, "%-4s %-70s %7.1fs\n", e.Action, e.Package, e.Elapsed)
	}
}

func (t *tally) close(out io.Writer) {
	slices.SortFunc(t.slow, func(a, b timed) int { return cmp.Compare(b.took, a.took) })
	fmt.Fprintln(out, "slowest tests:")
	for _, s := range t.slow[:min(slowestShown, len(t.slow))] {
		fmt.Fprintf(out, "  %7.1fs  %s\n", s.took.Seconds(), s.name)
	}
	for _, p := range t.broken {
		fmt.Fprintln(out, "failed:", p)
	}
	fmt.Fprintf(out, "tests: %d passed, %d failed, %d skipped\n", t.passed, max(t.failed, len(t.broken)), t.skipped)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
