package site

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/lab"
	"github.com/muster-boot/muster/redfish/bmctest"
)

const (
	// byMedia is the line of an order whose hosts' network boots nobody.
	byMedia = "transport: media\n"
	// paperSecond is a second of a BMC in front of a host of paper.
	paperSecond = 20 * time.Millisecond
	// realSecond is one of a BMC in front of a host of QEMU: the session of a
	// server that was killed, which stays for half an hour of them, is gone when
	// the host is installed.
	realSecond = 50 * time.Millisecond
	// paperTime is for a host of paper to come to a step.
	paperTime = 3 * time.Minute
	// paperEnd is for it to come to its end: one that found no server to read its
	// medium from is started again after six minutes of silence.
	paperEnd = 12 * time.Minute
)

// paperHost makes the n-th host of paper of a site, whose drive still has the
// medium of an attempt of long ago.
func (s *Site) paperHost(t *testing.T, third, n int) (*lab.PaperHost, row) {
	t.Helper()
	p, err := bmctest.Named("openbmc")
	if err != nil {
		t.Fatal(err)
	}
	scout, err := s.Scout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := p.Identity(n)
	h, err := s.Lab.AddPaper(t.Context(), lab.Paper{
		BMC:     lab.BMC{Personality: "openbmc", Address: on(third, 100+n), Second: paperSecond},
		Address: on(third, 150+n), PaperOptions: bmctest.PaperOptions{Identity: id, Version: scout},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("paper-%d did %q; its BMC had the problems %q", n, h.History(), h.BMC.Problems())
		}
	})
	leaveMedium(t, h.BMC, third)
	return h, row{serial: id.Serial, mac: id.NICs[0].MAC, name: fmt.Sprintf("paper-%d", n), bmc: on(third, 100+n), user: h.BMC.User(), password: h.BMC.Password()}
}

// leaveMedium has a BMC say that the medium of an attempt of long ago is in.
func leaveMedium(t *testing.T, e *bmctest.Emulator, third int) {
	t.Helper()
	old := fmt.Sprintf("https://10.78.%d.1:8068/m/a-%s-%s.iso", third, strings.Repeat("a", 16), strings.Repeat("b", 32))
	if err := e.Fail(bmctest.Fault{Kind: bmctest.FaultForeign, URL: old}); err != nil {
		t.Fatal(err)
	}
}

// firstEject is where the steps begin in what a BMC was asked; -1: not yet.
func firstEject(requests []bmctest.Request) int {
	return slices.IndexFunc(requests, func(r bmctest.Request) bool { return path.Base(r.Path) == "VirtualMedia.EjectMedia" })
}

// steps are what a BMC was asked from the first eject to the first power-on
// after it, as far as it came.
func steps(requests []bmctest.Request) []string {
	from := firstEject(requests)
	if from < 0 {
		return nil
	}
	var list []string
	inserted := false
	for _, r := range requests[from:] {
		list = append(list, r.Method+" "+path.Base(r.Path))
		inserted = inserted || path.Base(r.Path) == "VirtualMedia.InsertMedia"
		if inserted && r.Method == http.MethodPost && path.Base(r.Path) == "ComputerSystem.Reset" {
			break
		}
	}
	return list
}

// whole tells whether the list ends with the power-on.
func whole(list []string) bool {
	return len(list) > 0 && strings.HasSuffix(list[len(list)-1], "ComputerSystem.Reset")
}

// TestAServerKilledAtAnyStepOfAMediumBoot goes once through the requests by which
// a host's BMC is brought from an eject to power-on, and then kills the server
// after each of them, every time with a new host. All of them must come to their
// end, with one medium at a time.
func TestAServerKilledAtAnyStepOfAMediumBoot(t *testing.T) {
	t.Parallel()
	const third = 60
	s := newBusySite(t, foreign("lan", third))
	first, r := s.paperHost(t, third, 1)
	s.reach(t, "order-1", byMedia, r)
	s.await(t, paperTime, r.serial, "registered")
	want := steps(first.BMC.Requests())
	if !whole(want) || len(want) < 6 {
		t.Fatalf("from the eject on the BMC was asked %q", want)
	}
	t.Logf("%d steps: %q", len(want), want)
	// Slow enough for the kill to come before the step after, and fast before.
	slow := bmctest.Fault{Kind: bmctest.FaultSlow, Seconds: 10, Skip: firstEject(first.BMC.Requests()) - 2}
	hosts, rows := []*lab.PaperHost{first}, []row{r}
	for k := range want {
		h, r := s.paperHost(t, third, k+2)
		if err := h.BMC.Fail(slow); err != nil {
			t.Fatal(err)
		}
		s.reach(t, fmt.Sprintf("order-%d", k+2), byMedia, r)
		s.killAfter(t, h.BMC, k+1, want)
		h.BMC.Heal(bmctest.FaultSlow)
		hosts, rows = append(hosts, h), append(rows, r)
	}
	for i, h := range hosts {
		s.await(t, paperEnd, rows[i].serial, "registered")
		checkTidy(t, paperTime, h.BMC, min(i, 1)*len(want))
		s.checkJournal(t, rows[i].serial, "installing", "installed", "registered")
	}
}

// killAfter kills the server when the BMC has been asked the first n steps, and
// starts it again.
func (s *Site) killAfter(t *testing.T, e *bmctest.Emulator, n int, want []string) {
	t.Helper()
	until(t, paperTime, fmt.Sprintf("step %d (%s)", n, want[n-1]), func() (bool, string) {
		got := steps(e.Requests())
		return len(got) >= n, fmt.Sprintf("the BMC was asked %q", got)
	})
	restart(t, s)
	at := steps(e.Requests())
	t.Logf("killed when the BMC had been asked %d steps, the last of them %s", len(at), at[len(at)-1])
}

// newBusySite starts as many hosts at once as there are.
func newBusySite(t *testing.T, networks ...Network) *Site {
	t.Helper()
	return openSite(t, Options{Programs: programs, Networks: networks, Config: "power_on: {hosts: 100, every: 1s}\n"})
}

// drawn is a number below n, from a seed that is printed; MUSTER_SEED sets it.
func drawn(t *testing.T, n int) int {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MUSTER_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("MUSTER_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0)).IntN(n)
}

// TestAServerKilledWhileARealHostGetsItsMedium kills the server at one step of
// the same way, drawn by lot, with a host that boots what is in its drive.
func TestAServerKilledWhileARealHostGetsItsMedium(t *testing.T) {
	t.Parallel()
	const third = 61
	s := newBusySite(t, foreign("lan", third))
	if err := s.Lab.ServeDHCP(t.Context(), "lan", netip.PrefixFrom(on(third, 2), 24), on(third, 200), on(third, 220)); err != nil {
		t.Fatal(err)
	}
	spec := machine(1, lab.UEFI, "lan")
	spec.Boot = []lab.Device{lab.FromDisk}
	spec.BMC = &lab.BMC{Personality: "openbmc", Network: "lan", Address: on(third, 31), Second: realSecond}
	h := s.add(t, spec)
	leaveMedium(t, h.BMC(), third) // so that it is asked what the host of paper's is
	if err := h.Reserve(t.Context()); err != nil {
		t.Fatal(err)
	}
	paper, r := s.paperHost(t, third, 1)
	s.reach(t, "paper", byMedia, r)
	s.await(t, paperTime, r.serial, "registered")
	want := steps(paper.BMC.Requests())
	step := drawn(t, len(want)) + 1
	s.reach(t, "real", byMedia, row{
		serial: spec.Serial, mac: spec.NICs[0].MAC, name: spec.Name,
		bmc: on(third, 31), user: h.BMC().User(), password: h.BMC().Password(),
	})
	s.killAfter(t, h.BMC(), step, want)
	done := s.await(t, paperEnd+installTime, spec.Serial, "registered")
	if done.Boot != "virtual-media" {
		t.Errorf("registered by %s", done.Boot)
	}
	checkTidy(t, installTime, h.BMC(), 1)
}
