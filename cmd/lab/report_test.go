package main

import (
	"strings"
	"testing"
)

func TestReportCountsAndFailsWhereGoTestWould(t *testing.T) {
	const pass = `{"Action":"pass","Package":"m/a","Test":"TestA","Elapsed":1.5}
{"Action":"pass","Package":"m/a","Elapsed":1.6}
`
	cases := []struct {
		name, in, last string
		strict, good   bool
	}{
		{"all pass", pass, "tests: 1 passed, 0 failed, 0 skipped", true, true},
		{"one fails", pass + `{"Action":"output","Package":"m/b","Test":"TestB","Output":"boom\n"}
{"Action":"fail","Package":"m/b","Test":"TestB"}
{"Action":"fail","Package":"m/b"}
`, "tests: 1 passed, 1 failed, 0 skipped", false, false},
		{"a package does not build", pass + `{"Action":"fail","Package":"m/c"}` + "\n", "tests: 1 passed, 1 failed, 0 skipped", false, false},
		{"a skip counts against root", pass + `{"Action":"skip","Package":"m/a","Test":"TestS"}` + "\n", "tests: 1 passed, 0 failed, 1 skipped", true, false},
		{"a skip is told to others", pass + `{"Action":"skip","Package":"m/a","Test":"TestS"}` + "\n", "tests: 1 passed, 0 failed, 1 skipped", false, true},
		{"nothing ran", "", "tests: 0 passed, 0 failed, 0 skipped", true, false},
	}
	for _, c := range cases {
		var out strings.Builder
		good, err := report(strings.NewReader(c.in), &out, c.strict)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if last := lines[len(lines)-1]; last != c.last || good != c.good {
			t.Errorf("%s: good %t, last line %q; want %t, %q", c.name, good, last, c.good, c.last)
		}
	}
}
