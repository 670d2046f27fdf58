package scout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
)

// host is a server and the hands of one scout in one: it hands out the
// instructions of a script and writes down, with the seconds passed, what is
// asked and done. It can be told to be away, and to refuse.
type host struct {
	mu                   *sync.Mutex // made by run; while a disk is written, two goroutines call
	start                time.Time
	script               []inventory.Instruction
	away                 int // calls that find no server
	ahead                time.Duration
	loads                error
	mute                 bool        // progress is not taken
	denies               int         // calls that are refused for good
	refuse               func() bool // whether this report is refused; nil: none is
	after                string      // once this was noted, the server is away or refuses as often as the next two say
	thenAway, thenDenies int
	no                   error // why the named disk is not written
	finds                int   // how often it is found in spite of that
	write                func(progress func(stage string, bytes, total int64)) error
	log                  []string
	end                  context.CancelFunc
	said                 strings.Builder
}

func (h *host) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.after != "" && strings.HasPrefix(format, h.after) {
		h.away, h.denies, h.after = h.thenAway, h.thenDenies, ""
	}
	h.log = append(h.log, fmt.Sprintf("%.0fs ", time.Since(h.start).Seconds())+fmt.Sprintf(format, args...))
}

func (h *host) reach() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away > 0 {
		h.away--
		return errors.New("connection refused")
	}
	if h.denies > 0 {
		h.denies--
		return no{}
	}
	return nil
}

// no is a refusal.
type no struct{}

func (no) Error() string { return "that attempt is over" }
func (no) Denied() bool  { return true }

func (h *host) Time(context.Context) (time.Time, error) { return time.Now().Add(-h.ahead), h.reach() }

func (h *host) Instruction(_ context.Context, version string) (inventory.Instruction, error) {
	if err := h.reach(); err != nil {
		return inventory.Instruction{}, err
	}
	if len(h.script) == 0 {
		h.end()
		return inventory.Instruction{}, errors.New("the script is over")
	}
	ins := h.script[0]
	h.script = h.script[1:]
	h.note("%s asks: %s", version, ins.Do)
	return ins, nil
}

func (h *host) Report(_ context.Context, attempt string, r inventory.Report) error {
	if err := h.reach(); err != nil {
		return err
	}
	if h.refuse != nil && h.refuse() {
		return no{}
	}
	h.note("report for %q, version %s, clock %v", attempt, r.Version, r.Clock.SkewSeconds)
	return nil
}

func (h *host) Progress(_ context.Context, s inventory.Step) error {
	if h.mute {
		return errors.New("attempt is over")
	}
	if err := h.reach(); err != nil {
		return err
	}
	if s.Total > 0 {
		h.note("progress %s %s %d of %d", s.Attempt, s.Stage, s.Bytes, s.Total)
		return nil
	}
	h.note("progress %s %s", s.Attempt, s.Stage)
	return nil
}

func (h *host) Look(_ context.Context, contents bool) inventory.Report {
	h.note("look, contents %v", contents)
	return inventory.Report{}
}

func (h *host) Load(_ context.Context, n inventory.Netboot, _ func(string)) error {
	h.note("load %s", n.Kernel)
	return h.loads
}

func (h *host) Disk(_ context.Context, w inventory.Write) (string, error) {
	h.note("find %s", w.Disk)
	if h.finds > 0 {
		h.finds--
		return "/dev/sda", nil
	}
	return "/dev/sda", h.no
}

func (h *host) Write(_ context.Context, disk string, w inventory.Write, progress func(string, int64, int64)) error {
	h.note("write %s to %s", w.URL, disk)
	if h.write == nil {
		return nil
	}
	return h.write(progress)
}

func (h *host) Unload()                           { h.note("unload") }
func (h *host) Jump() error                       { h.note("jump"); h.end(); return nil }
func (h *host) Reboot() error                     { h.note("reboot"); h.end(); return nil }
func (h *host) PowerOff() error                   { h.note("power off"); h.end(); return nil }
func (h *host) BootAgain() error                  { h.note("boot again"); return nil }
func (h *host) KeepAddress(context.Context) error { return nil }

func (h *host) SetClock(t time.Time) (bool, error) {
	h.note("set clock by %s", time.Until(t).Round(time.Second))
	return true, nil
}

func do(actions ...inventory.Action) []inventory.Instruction {
	var list []inventory.Instruction
	for _, a := range actions {
		ins := inventory.Instruction{Do: a, Attempt: "a1"}
		if a == inventory.Install {
			ins.Netboot = &inventory.Netboot{Kernel: "http://s/kernel"}
		}
		if a == inventory.WriteDisk {
			ins.Write = &inventory.Write{URL: "http://s/image", Disk: "ata-A"}
		}
		list = append(list, ins)
	}
	return list
}

func TestLoop(t *testing.T) {
	waitFor := func(s int) []inventory.Instruction { return []inventory.Instruction{{Do: inventory.Wait, Again: s}} }
	tests := []struct {
		name string
		host host
		want []string
	}{
		{"looks and verifies for the attempt that asks", host{script: do(inventory.Look, inventory.Verify)}, []string{
			"0s v1 asks: look", "0s look, contents false", `0s report for "a1", version v1, clock 0`,
			"1s v1 asks: verify", "1s look, contents true", `1s report for "a1", version v1, clock 0`,
		}},
		{"sets a clock that is off before the first question", host{script: do(inventory.Look), ahead: -2 * time.Hour}, []string{
			"0s set clock by 2h0m0s", "0s v1 asks: look", "0s look, contents false", `0s report for "a1", version v1, clock -7200`,
		}},
		{"waits as long as told, but no longer than a minute", host{script: append(waitFor(20), append(waitFor(600), do(inventory.PowerOff)...)...)}, []string{
			"0s v1 asks: wait", "20s v1 asks: wait", "80s v1 asks: poweroff", "80s progress a1 poweroff", "80s power off",
		}},
		{"tells the server before it jumps", host{script: do(inventory.Install)}, []string{
			"0s v1 asks: install", "0s load http://s/kernel", "0s progress a1 kexec", "0s jump",
		}},
		{"does not jump when the server could not be told", host{script: do(inventory.Install, inventory.Wait), mute: true}, []string{
			"0s v1 asks: install", "0s load http://s/kernel", "0s unload", "1s v1 asks: wait",
		}},
		{"restarts from the same device where kexec is refused", host{script: do(inventory.Install), loads: fmt.Errorf("%w: lockdown", ErrRefused)}, []string{
			"0s v1 asks: install", "0s load http://s/kernel", "0s boot again", "0s progress a1 reboot", "0s reboot",
		}},
		{"asks again when the installer cannot be fetched", host{script: do(inventory.Install, inventory.Wait), loads: errors.New("404")}, []string{
			"0s v1 asks: install", "0s load http://s/kernel", "1s v1 asks: wait",
		}},
		{"asks again after an instruction that it does not know", host{script: do("dance", inventory.Reboot)}, []string{
			"0s v1 asks: dance", "1s v1 asks: reboot", "1s boot again", "1s progress a1 reboot", "1s reboot",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.host.run(t)
				if diff := cmp.Diff(test.want, test.host.log); diff != "" {
					t.Errorf("what happened differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func (h *host) run(t *testing.T) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	h.mu, h.start, h.end = &sync.Mutex{}, time.Now(), end
	s := &Scout{Server: h, Hands: h, Console: NewConsole(&h.said), Version: "v1"}
	if err := s.Run(ctx); err != nil {
		t.Errorf("the loop ended with %v", err)
	}
}

func TestAnAbsentServerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{script: do(inventory.PowerOff), away: 40}
		h.run(t)
		if len(h.log) != 3 {
			t.Fatalf("did %q", h.log)
		}
		if waited := time.Since(h.start); waited < 3*time.Minute || waited > 40*longestBackoff {
			t.Errorf("40 failures took %s", waited)
		}
		if !strings.Contains(h.said.String(), "Asking muster for the time: no answer yet (connection refused)") {
			t.Errorf("the console says %q", h.said.String())
		}
	})
}

func TestARefusedReportIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{script: do(inventory.Look, inventory.Look)}
		asked := false
		h.refuse = func() bool { first := !asked; asked = true; return first }
		h.run(t)
		reports := 0
		for _, line := range h.log {
			if strings.Contains(line, "report for") {
				reports++
			}
		}
		if reports != 1 {
			t.Errorf("of two reports, the first of them refused, %d were taken:\n%s", reports, strings.Join(h.log, "\n"))
		}
	})
}

func TestAScoutThatMusterRefusesRestartsItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{script: do(inventory.Look), denies: 1000}
		h.run(t)
		if got := strings.Join(h.log, "\n"); !strings.Contains(got, "boot again") || !strings.Contains(got, "reboot") {
			t.Errorf("it stayed:\n%s", got)
		}
	})
}

func TestTheConsoleRepeatsASentenceOnlyAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		c := NewConsole(&b)
		for range 7 {
			c.Say("Waiting.")
			pause(t.Context(), 10*time.Second)
		}
		c.Say("Done.")
		want := "[    0.0] scout: Waiting.\n[   30.0] scout: Waiting.\n[   60.0] scout: Waiting.\n[   70.0] scout: Done.\n"
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("console differs (-want +got):\n%s", diff)
		}
	})
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	for try, want := range map[int]time.Duration{0: 500 * time.Millisecond, 1: time.Second, 4: 8 * time.Second, 5: longestBackoff, 1000: longestBackoff} {
		if got := backoff(try, 0); got != want {
			t.Errorf("try %d waits %s, want %s", try, got, want)
		}
		if got := backoff(try, 0.999); got < want/2 || got > want {
			t.Errorf("try %d waits %s with jitter, want between %s and %s", try, got, want/2, want)
		}
	}
}

func TestSkewBelongsToTheMiddleOfTheExchange(t *testing.T) {
	sent := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	if got := skewOf(sent.Add(-time.Hour), sent, sent.Add(2*time.Second)); got != time.Hour+time.Second {
		t.Errorf("skew is %s", got)
	}
}

func TestHardwareClockCountsFromItsOwnBeginnings(t *testing.T) {
	got := rtcTime(time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC))
	if got.Year != 126 || got.Mon != 2 || got.Mday != 4 || got.Hour != 5 || got.Min != 6 || got.Sec != 7 {
		t.Errorf("hardware clock is set to %+v", got)
	}
}
