package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// ForTest is Open for a test: the lab ends with the test, and if the test
// failed, the ends of the hosts' consoles are in its log. The variable
// MUSTER_LAB_DIR names a directory in which to keep the hosts' files, below the
// test's name, for a person to look at.
func ForTest(t testing.TB, networks ...Network) *Lab {
	t.Helper()
	o := Options{Networks: networks}
	if dir := os.Getenv("MUSTER_LAB_DIR"); dir != "" {
		o.Dir = filepath.Join(dir, t.Name())
	}
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, h := range l.Hosts() {
				t.Logf("host %s%s", h.spec.Name, h.lastWords())
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
