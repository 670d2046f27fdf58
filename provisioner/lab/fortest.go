package lab

import "testing"

// ForTest is Open for a test: the lab ends with the test, and if the test
// failed, the ends of the hosts' consoles are in its log.
func ForTest(t testing.TB, networks ...Network) *Lab {
	t.Helper()
	l, err := Open(t.Context(), Options{Networks: networks})
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
