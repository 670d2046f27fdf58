package lab

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestAHostWhoseProcessorsStandStillIsReset has a host wait for an interrupt with
// all of them off. One that waits for the next tick of its clock, as idle systems
// do, is left alone.
func TestAHostWhoseProcessorsStandStillIsReset(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	l, err := Open(ctx, Options{Networks: oneNetwork, Still: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	deaf := []byte{0xfa} // cli
	dead, idle := haltingHost(), haltingHost()
	dead.Name, idle.Name, idle.NICs[0].MAC = "dead", "idle", "52:54:00:77:00:02"
	boot := func(s Spec, code ...[]byte) *Host {
		h, err := l.AddHost(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		writeSector(t, h, bootSector(append([][]byte{sayUp}, code...)...))
		if err := h.PowerOn(ctx); err != nil {
			t.Fatal(err)
		}
		if err := h.WaitConsole(ctx, "lab host is up"); err != nil {
			t.Fatal(err)
		}
		return h
	}
	// An idle system is busier than a boot sector that counts 18 ticks a second.
	idling := boot(idle, []byte{0xb9, 0xff, 0xff, 0xe2, 0xfe}, halt[:1], []byte{0xeb, 0xf8}) // mov cx,65535; loop; hlt; jmp
	resting := boot(dead, deaf, halt)
	for _, text := range []string{"its reset button is pressed", "lab host is up"} {
		if err := resting.WaitConsole(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	console, err := os.ReadFile(idling.files.console)
	if err != nil || strings.Contains(string(console), "reset button") {
		t.Errorf("an idle host was reset: %v\n%s", err, console)
	}
}
