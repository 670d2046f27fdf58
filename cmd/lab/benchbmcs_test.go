package main

import (
	"net/netip"
	"os"
	"testing"
)

func TestTheBenchsAddressesGoOnOverTheOctets(t *testing.T) {
	for n, want := range map[int]string{256: "10.77.9.0", 456: "10.77.9.200", 1024: "10.77.12.0", 1223: "10.77.12.199"} {
		if got := rackAddress(n); got != netip.MustParseAddr(want) {
			t.Errorf("address %d is %s, want %s", n, got, want)
		}
	}
}

func TestAProcessTellsItsPeakMemory(t *testing.T) {
	if got, err := peakMemory(os.Getpid()); err != nil || got < 1<<20 {
		t.Errorf("this process had %d bytes: %v", got, err)
	}
	if _, err := peakMemory(-1); err == nil {
		t.Error("a process that is not there tells it too")
	}
}
