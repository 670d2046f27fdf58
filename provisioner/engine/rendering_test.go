package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// begun brings the listed host h-1 to the start of its installation.
func begun(t *testing.T, s *site) provisioner.AttemptID {
	t.Helper()
	s.see(t, mac1)
	s.ask(t, hostID, report("SN-1", mac1))
	h := s.host(t, hostID)
	if h.Status.Phase != provisioner.Installing {
		t.Fatalf("the host is %s: %s", h.Status.Phase, h.Status.Why)
	}
	return h.Status.Attempt.ID
}

// retried has a person ask for a new attempt and brings the host there.
func retried(t *testing.T, s *site) provisioner.AttemptID {
	t.Helper()
	ask := func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.Requests.Retry++
		return nil, nil
	}
	if _, err := s.Store.Change(t.Context(), hostID, ask); err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	return begun(t, s)
}

func (s *site) rendering(t *testing.T, a provisioner.AttemptID) provisioner.Rendering {
	t.Helper()
	_, r, err := s.Rendering(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnAttemptGivesTheSameWhateverBecomesOfOrderClockAndServer(t *testing.T) {
	kv, c := bolt(t), newClock()
	s := open(t, kv, c)
	order := provisioner.Order{Name: "o1", Template: "before"}
	if err := s.Store.Commit(t.Context(), store.Change{PutOrders: []provisioner.Order{order}}); err != nil {
		t.Fatal(err)
	}
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := begun(t, s)
	first := s.rendering(t, a)
	if first.Attempt != a || first.Image != "sha256:1" || !first.Made.Equal(s.host(t, hostID).Facts.Prepared.At) {
		t.Errorf("rendered %+v", first)
	}

	order, err := s.Store.Order(t.Context(), "o1")
	if err != nil {
		t.Fatal(err)
	}
	order.Template, order.Config = "after", map[string]any{"k": "v"}
	if err := s.Store.Commit(t.Context(), store.Change{PutOrders: []provisioner.Order{order}}); err != nil {
		t.Fatal(err)
	}
	edit := func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.Image, h.Intent.After = "sha256:2", provisioner.AfterPowerOff
		return nil, nil
	}
	if _, err := s.Store.Change(t.Context(), hostID, edit); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s = open(t, kv, &clock{at: c.now().Add(time.Hour / 4).In(time.FixedZone("elsewhere", 9*3600))})
	s.sync(t)
	if _, err := s.settle(t.Context(), hostID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, s.rendering(t, a)); diff != "" {
		t.Errorf("one attempt gave two things, -before +after:\n%s", diff)
	}
	if n := s.installer.rendered(); n != 0 {
		t.Errorf("the restarted server rendered %d times", n)
	}
}

func TestWhatIsKeptOfARenderingCannotBeRead(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := begun(t, s)
	sealed, err := s.Store.Rendering(t.Context(), a)
	if err != nil || bytes.Contains(sealed, []byte("cloud-config")) {
		t.Errorf("kept as %q, %v", sealed, err)
	}
	if _, err := unpack(sealed[1:]); err == nil {
		t.Error("it is packed, but not sealed")
	}
}

func TestAnAttemptThatCannotBePreparedSaysWhyAndIsTriedAgain(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.installer.set("", &provisioner.Fault{Kind: provisioner.Operator, Err: errors.New("the template of order o1 names no such value")})
	a := begun(t, s)
	ins, err := s.Instruction(t.Context(), hostID, "v1", "192.0.2.50")
	if err != nil || ins.Do != inventory.Wait || !strings.Contains(ins.Say, "the template of order o1 names no such value") {
		t.Fatalf("the scout is told %+v, %v", ins, err)
	}
	if _, _, err := s.Rendering(t.Context(), a); provisioner.KindOf(err) != provisioner.Retry || !strings.Contains(err.Error(), "no such value") {
		t.Errorf("its URLs say %v", err)
	}
	settle := func() {
		if _, err := s.settle(t.Context(), hostID); err != nil {
			t.Fatal(err)
		}
	}
	before := s.installer.rendered()
	for range 300 { // seconds
		s.clock.advance(time.Second)
		settle()
	}
	if n := s.installer.rendered() - before; n < 5 || n > 12 {
		t.Errorf("tried %d times in five minutes", n)
	}
	told := 0
	for _, e := range s.checkJournal(t, hostID) {
		if strings.Contains(e.Text, "no such value") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the journal is told %d times", told)
	}

	s.installer.set(provisioner.WayNetboot, nil)
	s.clock.advance(time.Minute)
	settle()
	if ins, err := s.Instruction(t.Context(), hostID, "v1", "192.0.2.50"); err != nil || ins.Do != inventory.Install {
		t.Errorf("mended, the scout is told %+v, %v", ins, err)
	}
	if p := s.host(t, hostID).Facts.Prepared; p.Problem != "" || p.Way != provisioner.WayNetboot {
		t.Errorf("mended, the fact is %+v", p)
	}
}

func TestAClockThatIsSetBackDoesNotHoldUpPreparing(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.installer.set("", errors.New("not yet"))
	begun(t, s)
	s.clock.advance(time.Minute)
	if _, err := s.settle(t.Context(), hostID); err != nil {
		t.Fatal(err)
	}
	s.installer.set("", nil)
	s.clock.advance(-time.Hour)
	if _, err := s.settle(t.Context(), hostID); err != nil {
		t.Fatal(err)
	}
	if p := s.host(t, hostID).Facts.Prepared; p.Way == "" {
		t.Errorf("it waits for a time that comes in an hour: %+v", p)
	}
}

func TestWhatIsTooLargeToKeepIsSaid(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	noise := make([]byte, maxSealed)
	_, _ = rand.Read(noise)
	for name, content := range map[string][]byte{"as it is": noise, "before it is packed": make([]byte, maxRendering)} {
		s.installer.fill(content)
		retried(t, s)
		if p := s.host(t, hostID).Facts.Prepared; p == nil || !strings.Contains(p.Problem, "make the template or the configuration of its order smaller") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestAProblemIsOneLineThatIsNotTooLong(t *testing.T) {
	got := sentence(errors.New("line one\n\x1bline\ttwo " + strings.Repeat("ä", maxProblem) + "."))
	if len(got) > maxProblem+100 || strings.Contains(got, "\n") || !strings.Contains(got, "line one") || !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}

func TestPreparingThatTakesTooLongIsSaidInWords(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.installer.set("", fmt.Errorf("ask the site: %w", context.DeadlineExceeded))
	begun(t, s)
	if p := s.host(t, hostID).Facts.Prepared; p == nil || !strings.Contains(p.Problem, "it took longer than 30s and is tried again") {
		t.Errorf("%+v", p)
	}
}

func TestAHandOffThatMusterDoesNotHaveIsSaidBeforeTheInstall(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	rename := func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.Handoff = "pigeon"
		return nil, nil
	}
	if _, err := s.Store.Change(t.Context(), hostID, rename); err != nil {
		t.Fatal(err)
	}
	begun(t, s)
	if p := s.host(t, hostID).Facts.Prepared; p == nil || !strings.Contains(p.Problem, `the hand-off "pigeon"`) {
		t.Errorf("%+v", p)
	}
}

func TestTheRenderingOfTheAttemptBeforeIsDropped(t *testing.T) {
	for name, next := range map[string]error{"prepared": nil, "not prepared": errors.New("no disk image")} {
		t.Run(name, func(t *testing.T) {
			s := open(t, bolt(t), newClock())
			s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
			old := begun(t, s)
			s.installer.set("", next)
			if a := retried(t, s); a == old {
				t.Fatal("the retry has no attempt of its own")
			}
			if _, err := s.Store.Rendering(t.Context(), old); provisioner.KindOf(err) != provisioner.NotFound {
				t.Errorf("what the last attempt gave is still there: %v", err)
			}
			if _, _, err := s.Rendering(t.Context(), old); provisioner.KindOf(err) != provisioner.Gone {
				t.Errorf("what the last attempt gave is still given: %v", err)
			}
		})
	}
}

func TestALostKeySaysWhatIsLostAndWhatToDo(t *testing.T) {
	kv, c := bolt(t), newClock()
	s := open(t, kv, c)
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := begun(t, s)
	s.stop()
	s = openWith(t, kv, c, "l")
	for what, err := range map[string]error{
		"its URLs":  second(s.Document(t.Context(), a, "config")),
		"its scout": second(s.Instruction(t.Context(), hostID, "v1", "192.0.2.50")),
	} {
		if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), "muster host retry h-1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if says := lifecycle.Awaiting(s.host(t, hostID)); !strings.HasPrefix(says, "Awaited: a person.") || !strings.Contains(says, "another key") {
		t.Errorf("the host waits for: %s", says)
	}
	said := 0
	for _, e := range s.checkJournal(t, hostID) {
		if strings.Contains(e.Text, "is lost") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("the journal says %d times that it is lost", said)
	}
	s.stop()
	s = open(t, kv, c)
	s.rendering(t, a)
	if h := s.host(t, hostID); h.Facts.Prepared.Problem != "" {
		t.Errorf("with the key back: %s", lifecycle.Awaiting(h))
	}
}

func second[T any](_ T, err error) error { return err }

func TestADocumentThatWasNotRenderedIsNotThere(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := begun(t, s)
	if _, err := s.Document(t.Context(), a, "meta-data"); provisioner.KindOf(err) != provisioner.NotFound {
		t.Error(err)
	}
	if _, err := s.Document(t.Context(), "a-none", "config"); provisioner.KindOf(err) != provisioner.Gone {
		t.Error(err)
	}
}

func TestAScoutThatMayWriteIsNamedTheImageAndEndsAsTheOrderSays(t *testing.T) {
	for after, want := range map[provisioner.After]inventory.Action{"": inventory.Reboot, provisioner.AfterPowerOff: inventory.PowerOff} {
		t.Run(string(want), func(t *testing.T) {
			s := open(t, bolt(t), newClock())
			s.installer.set(provisioner.WayWrite, nil)
			s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
			order := func(h *provisioner.Host) ([]provisioner.Entry, error) {
				h.Intent.After = after
				return nil, nil
			}
			if _, err := s.Store.Change(t.Context(), hostID, order); err != nil {
				t.Fatal(err)
			}
			s.see(t, mac1)
			ins := s.ask(t, hostID, report("SN-1", mac1))
			if ins.Do != inventory.WriteDisk || ins.Write == nil || ins.Write.Digest != "sha256:1" || ins.Netboot != nil {
				t.Fatalf("the scout is told %+v", ins)
			}
			for _, stage := range []string{provisioner.StageWriting, provisioner.StageWritten} {
				if err := s.Progress(t.Context(), hostID, inventory.Step{Attempt: ins.Attempt, Stage: stage}); err != nil {
					t.Fatal(err)
				}
			}
			if ins, err := s.Instruction(t.Context(), hostID, "v1", "192.0.2.50"); err != nil || ins.Do != want {
				t.Errorf("then it is told %s, %v; want %s", ins.Do, err, want)
			}
		})
	}
}

func TestAWriteThatKeepsFailingSpendsItsBudget(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.installer.set(provisioner.WayWrite, nil)
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.see(t, mac1)
	for try := 1; ; try++ {
		ins := s.ask(t, hostID, report("SN-1", mac1))
		if try > 3 {
			if ins.Do != inventory.Wait || !strings.Contains(ins.Say, "The disk could not be written: the disk has bad sectors.") {
				t.Errorf("its budget is spent, and the scout is told %s: %s", ins.Do, ins.Say)
			}
			return
		}
		if ins.Do != inventory.WriteDisk {
			t.Fatalf("try %d: the scout is told %s: %s", try, ins.Do, ins.Say)
		}
		for _, step := range []inventory.Step{{Stage: provisioner.StageWriting}, {Stage: provisioner.StageWriteFailed, Detail: "the disk has bad sectors"}} {
			step.Attempt = ins.Attempt
			if err := s.Progress(t.Context(), hostID, step); err != nil {
				t.Fatal(fmt.Errorf("try %d: %w", try, err))
			}
		}
	}
}
