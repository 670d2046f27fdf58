package bmc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestOneBMCIsKnownByAllSpellings(t *testing.T) {
	for _, group := range [][]string{
		{"192.0.2.1", "https://192.0.2.1/", "192.0.2.1:443", " 192.0.2.1:623"},
		{"BMC-7.example", "https://bmc-7.example:443"},
		{"2001:db8::443", "[2001:db8::443]", "https://[2001:db8::443]:443/"},
		{"192.0.2.1:8443", "https://192.0.2.1:8443"},
	} {
		for _, spelling := range group {
			if sameBMC(spelling) != sameBMC(group[0]) {
				t.Errorf("%q is %q, and %q is %q", spelling, sameBMC(spelling), group[0], sameBMC(group[0]))
			}
		}
	}
	if sameBMC("192.0.2.1") == sameBMC("192.0.2.1:8443") {
		t.Error("two ports are one BMC")
	}
}

func TestWhoGivesUpWaitingLeavesTheTurnToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		leave, err := all.enter(t.Context(), "192.0.2.1", func() { t.Error("nobody was before") })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		told := false
		go func() {
			synctest.Wait()
			cancel()
		}()
		if _, err := all.enter(ctx, "192.0.2.1:443", func() { told = true }); !errors.Is(err, context.Canceled) || !told {
			t.Errorf("told: %t, %v", told, err)
		}
		leave()
		if again, err := all.enter(t.Context(), "192.0.2.1", func() { t.Error("nobody is in") }); err != nil {
			t.Error(err)
		} else {
			again()
		}
		if len(all.gate) != 0 {
			t.Errorf("%d gates are left", len(all.gate))
		}
	})
}
