package scout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
)

func TestOnlyTheDiskThatWasVerifiedIsChosen(t *testing.T) {
	disks := func(change func(*inventory.Disk)) []inventory.Disk {
		d := inventory.Disk{Name: "sdb", ByID: []string{"ata-B_2", "wwn-2"}, Serial: "2"}
		change(&d)
		return []inventory.Disk{{Name: "sda", ByID: []string{"ata-A_1"}, Serial: "1"}, d, {Name: "sdc"}}
	}
	same := func(*inventory.Disk) {}
	tests := []struct {
		name   string
		change func(*inventory.Disk)
		write  inventory.Write
		says   string // "" where it is chosen
	}{
		{"by its first name", same, inventory.Write{Disk: "ata-B_2", Serial: "2"}, ""},
		{"by another name, no serial known", same, inventory.Write{Disk: "wwn-2"}, ""},
		{"by its path", same, inventory.Write{Disk: "/dev/disk/by-id/wwn-2"}, ""},
		{"gone", same, inventory.Write{Disk: "ata-C_3"}, "has no disk ata-C_3; it has ata-A_1, ata-B_2, sdc"},
		{"without a name", same, inventory.Write{}, "has no disk"},
		{"by the kernel's name", same, inventory.Write{Disk: "sdb"}, "has no disk"},
		{"swapped", func(d *inventory.Disk) { d.Serial = "9" }, inventory.Write{Disk: "wwn-2", Serial: "2"}, `serial "9" and "2" was verified`},
		{"called as another is", func(d *inventory.Disk) { d.ByID = []string{"ata-B_2", "ata-A_1"} }, inventory.Write{Disk: "ata-A_1"}, "2 disks of this host are called ata-A_1"},
		{"mounted", func(d *inventory.Disk) { d.Holders = []string{"mounted at /mnt"} }, inventory.Write{Disk: "wwn-2"}, "in use: mounted at /mnt"},
		{"booted from", func(d *inventory.Disk) { d.BootMedium = true }, inventory.Write{Disk: "wwn-2"}, "came from"},
		{"read-only", func(d *inventory.Disk) { d.ReadOnly = true }, inventory.Write{Disk: "wwn-2"}, "cannot be written to"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := chooseDisk(disks(test.change), test.write)
			if test.says == "" && (err != nil || d.Name != "sdb") {
				t.Errorf("chose %q, %v", d.Name, err)
			}
			if test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("error is %v, want one with %q", err, test.says)
			}
		})
	}
}

func TestWritingADisk(t *testing.T) {
	tests := []struct {
		name string
		host host
		want []string
	}{
		{"asks before and tells after", host{script: do(inventory.WriteDisk, inventory.PowerOff)}, []string{
			"0s v1 asks: write", "0s find ata-A", "0s progress a1 writing", "0s find ata-A", "0s write http://s/image to /dev/sda", "0s progress a1 written",
			"1s v1 asks: poweroff", "1s progress a1 poweroff", "1s power off",
		}},
		{"writes nothing to a disk that is not the one", host{script: do(inventory.WriteDisk, inventory.PowerOff), no: errors.New("other serial")}, []string{
			"0s v1 asks: write", "0s find ata-A", "0s progress a1 write-failed", "1s v1 asks: poweroff", "1s progress a1 poweroff", "1s power off",
		}},
		{"writes nothing to a disk that was swapped while muster was asked", host{script: do(inventory.WriteDisk, inventory.PowerOff), no: errors.New("other serial"), finds: 1}, []string{
			"0s v1 asks: write", "0s find ata-A", "0s progress a1 writing", "0s find ata-A", "0s progress a1 write-failed", "1s v1 asks: poweroff", "1s progress a1 poweroff", "1s power off",
		}},
		{"tells of a failure", host{
			script: do(inventory.WriteDisk, inventory.PowerOff),
			write:  func(func(string, int64, int64)) error { return errors.New("medium error") },
		}, []string{
			"0s v1 asks: write", "0s find ata-A", "0s progress a1 writing", "0s find ata-A", "0s write http://s/image to /dev/sda", "0s progress a1 write-failed",
			"1s v1 asks: poweroff", "1s progress a1 poweroff", "1s power off",
		}},
		{"does nothing without an image", host{script: []inventory.Instruction{{Do: inventory.WriteDisk}, do(inventory.PowerOff)[0]}}, []string{
			"0s v1 asks: write", "1s v1 asks: poweroff", "1s progress a1 poweroff", "1s power off",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.host.run(t)
				if diff := cmp.Diff(test.want, test.host.log); diff != "" && !onlyJitter(test.want, test.host.log) {
					t.Errorf("what happened differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// onlyJitter lets the whole seconds differ, which after a failure are random.
func onlyJitter(want, got []string) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		_, w, _ := strings.Cut(want[i], " ")
		if _, g, _ := strings.Cut(got[i], " "); w != g {
			return false
		}
	}
	return true
}

func TestNothingIsWrittenWithoutAYes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host{script: do(inventory.WriteDisk, inventory.PowerOff), after: "find", thenDenies: 1}
		h.run(t)
		got := strings.Join(h.log, "\n")
		if strings.Contains(got, "write http") || strings.Contains(got, "write-failed") || !strings.Contains(got, "power off") {
			t.Errorf("after a no:\n%s", got)
		}
		if !strings.Contains(h.said.String(), "muster does not let the disk be written: that attempt is over") {
			t.Errorf("the console says %q", h.said.String())
		}
	})
}

func TestAYesIsWaitedForAndDoesNotExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host{script: do(inventory.WriteDisk, inventory.PowerOff), after: "find", thenAway: 20}
		h.run(t)
		got := strings.Join(h.log, "\n")
		if !strings.Contains(got, "progress a1 writing") || time.Since(h.start) < time.Minute {
			t.Errorf("while muster was away for %s:\n%s", time.Since(h.start), got)
		}
		if strings.Index(got, "progress a1 writing") > strings.Index(got, "write http") {
			t.Errorf("written before the yes:\n%s", got)
		}
	})
}

func TestCountsGoOutOnceASecondAndHoldUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host{script: do(inventory.WriteDisk, inventory.PowerOff)}
		h.write = func(progress func(string, int64, int64)) error {
			for i := range int64(35) {
				progress("write", i, 34)
				pause(t.Context(), 100*time.Millisecond)
			}
			progress("verify", 34, 34)
			return nil
		}
		h.run(t)
		got := strings.Join(h.log, "\n")
		if n := strings.Count(got, "progress a1 write "); n < 3 || n > 4 {
			t.Errorf("in 3.5 s, %d counts went out:\n%s", n, got)
		}
		for _, want := range []string{"progress a1 write 34 of 34", "progress a1 verify 34 of 34"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q:\n%s", want, got)
			}
		}
	})
}

func TestAServerThatIsAwayDoesNotStopTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host{script: do(inventory.WriteDisk, inventory.PowerOff)}
		h.write = func(progress func(string, int64, int64)) error {
			h.mu.Lock()
			h.away = 1000 // all counts, and then some tries to say that it is done
			h.mu.Unlock()
			start := time.Now()
			for i := range int64(1200) {
				progress("write", i, 2000)
				pause(t.Context(), time.Second)
			}
			if took := time.Since(start); took != 20*time.Minute {
				t.Errorf("the write took %s", took)
			}
			h.mu.Lock()
			h.away = 3
			h.mu.Unlock()
			return nil
		}
		h.run(t)
		if got := strings.Join(h.log, "\n"); !strings.Contains(got, "progress a1 written") {
			t.Errorf("muster was never told:\n%s", got)
		}
	})
}

func TestAWriteEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := host{}
	s := &Scout{Server: &h, Hands: &h, Console: NewConsole(&h.said)}
	if err := s.writeFailed(ctx, inventory.Instruction{}, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
