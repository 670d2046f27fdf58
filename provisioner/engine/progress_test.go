package engine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// counting is an attempt whose host transfers something.
func counting(t *testing.T) (*site, provisioner.AttemptID) {
	t.Helper()
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	return s, begun(t, s)
}

func (s *site) count(t *testing.T, a provisioner.AttemptID, stage string, bytes, total int64) {
	t.Helper()
	if err := s.Counted(t.Context(), a, stage, bytes, total); err != nil {
		t.Fatal(err)
	}
}

// progress is what the store has, without times.
func (s *site) progress(t *testing.T) []provisioner.Progress {
	t.Helper()
	h, err := s.Store.Host(t.Context(), hostID)
	if err != nil {
		t.Fatal(err)
	}
	got := []provisioner.Progress{}
	for _, p := range h.Facts.Progress {
		if p.At.Before(p.Began) {
			t.Errorf("stage %s ended before it began", p.Stage)
		}
		p.Began, p.At, p.Attempt = time.Time{}, time.Time{}, ""
		got = append(got, p)
	}
	return got
}

func (s *site) wantProgress(t *testing.T, want ...provisioner.Progress) {
	t.Helper()
	if diff := cmp.Diff(want, s.progress(t), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func rootfs(bytes int64) provisioner.Progress {
	return provisioner.Progress{Stage: provisioner.StageRootfs, Bytes: bytes, Total: 1000}
}

func TestCountsAreWrittenDownEveryFewSecondsAndAtTheEnd(t *testing.T) {
	s, a := counting(t)
	before := s.host(t, hostID).Revision
	for i := range int64(100) {
		s.count(t, a, provisioner.StageRootfs, 1+i, 1000)
	}
	s.wantProgress(t, rootfs(1))
	s.clock.advance(countEvery)
	s.count(t, a, provisioner.StageRootfs, 200, 1000)
	s.wantProgress(t, rootfs(200))
	s.count(t, a, provisioner.StageRootfs, 1000, 1000)
	s.wantProgress(t, rootfs(1000))
	if writes := s.host(t, hostID).Revision - before; writes > 3+1 { // the lease may be renewed
		t.Errorf("%d writes for 102 counts", writes)
	}
}

func TestTheLastCountOfATransferThatStopsIsWrittenDownToo(t *testing.T) {
	s, a := counting(t)
	s.count(t, a, provisioner.StageRootfs, 1, 1000)
	s.count(t, a, provisioner.StageRootfs, 437, 1000)
	settle := func() {
		if _, err := s.settle(t.Context(), hostID); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	s.wantProgress(t, rootfs(1))
	s.clock.advance(countEvery)
	settle()
	s.wantProgress(t, rootfs(437))
}

func TestBytesGoDownOnlyWhereAStageBeginsAnew(t *testing.T) {
	s, a := counting(t)
	count := func(bytes int64) {
		s.clock.advance(countEvery)
		s.count(t, a, provisioner.StageRootfs, bytes, 1000)
	}
	count(500)
	count(300) // late
	s.wantProgress(t, rootfs(500))
	count(0)
	s.wantProgress(t, rootfs(0))
	count(300)
	s.wantProgress(t, rootfs(300))
}

func TestCountsGoOnOverARestart(t *testing.T) {
	kv, c := bolt(t), newClock()
	s := open(t, kv, c)
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := begun(t, s)
	s.count(t, a, provisioner.StageRootfs, 500, 1000)
	began := s.host(t, hostID).Facts.Progress[0].Began
	s.stop()
	s = open(t, kv, c)
	s.clock.advance(countEvery)
	s.count(t, a, provisioner.StageRootfs, 400, 1000)
	s.wantProgress(t, rootfs(500))
	s.count(t, a, provisioner.StageRootfs, 600, 1000)
	s.wantProgress(t, rootfs(600))
	if got := s.host(t, hostID).Facts.Progress[0].Began; !got.Equal(began) {
		t.Errorf("the stage began at %s, and after the restart at %s", began, got)
	}
}

func TestCountsOfAnOldAttemptChangeNothing(t *testing.T) {
	s, old := counting(t)
	s.count(t, old, provisioner.StageRootfs, 500, 1000)
	a := retried(t, s)
	s.wantProgress(t)
	s.clock.advance(countEvery)
	if err := s.Counted(t.Context(), old, provisioner.StageRootfs, 600, 1000); provisioner.KindOf(err) != provisioner.Gone {
		t.Errorf("counted for an attempt that is over: %v", err)
	}
	s.count(t, a, provisioner.StageRootfs, 1, 1000)
	s.wantProgress(t, rootfs(1))
	if _, kept := s.meter(old); kept {
		t.Error("the meter of an attempt that is over is kept")
	}
}

func TestAScoutsCountsBeginAnewWithItsNextWrite(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.installer.set(provisioner.WayWrite, nil)
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := begun(t, s)
	say := func(stage string, bytes int64) {
		t.Helper()
		s.clock.advance(countEvery)
		if err := s.Progress(t.Context(), hostID, inventory.Step{Attempt: string(a), Stage: stage, Bytes: bytes, Total: 1000}); err != nil {
			t.Fatal(err)
		}
	}
	write := func(bytes int64) provisioner.Progress {
		return provisioner.Progress{Stage: provisioner.StageWrite, Bytes: bytes, Total: 1000}
	}
	say(provisioner.StageWriting, 0)
	say(provisioner.StageWrite, 700)
	say(provisioner.StageWrite, 0) // its first count, late
	s.wantProgress(t, write(700))
	say(provisioner.StageWriting, 0) // the host was switched off and on
	say(provisioner.StageWrite, 100)
	s.wantProgress(t, write(100))
	say(provisioner.StageWrite, 1000)
	say(provisioner.StageWritten, 0)
	say(provisioner.StageVerify, 0) // late
	s.wantProgress(t, write(1000))
	if last := s.host(t, hostID).Facts.Writes; len(last) != 1 || last[0].Serial != "D-SN-1" {
		t.Errorf("the disk that was begun to be written is not remembered once: %+v", last)
	}
}

func TestTheJournalIsToldWhenATransferBeginsAndEndsAndNotBetween(t *testing.T) {
	s, a := counting(t)
	for bytes := int64(1); bytes <= 1000; bytes += 111 {
		s.clock.advance(countEvery)
		s.count(t, a, "disk", bytes, 1000)
	}
	var told []string
	for _, e := range s.checkJournal(t, hostID) {
		if strings.Contains(e.Text, "Stage disk") {
			told = append(told, e.Text)
		}
	}
	want := []string{"Stage disk began.", "Stage disk: all of 0.0 MB in 45s."}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCountsThatCannotBeAreRefusedAndTheirNumberIsBounded(t *testing.T) {
	s, a := counting(t)
	for _, p := range []provisioner.Progress{{Stage: "", Bytes: 1}, {Stage: "x", Bytes: -1}, {Stage: "x", Total: -1}} {
		if err := s.Counted(t.Context(), a, p.Stage, p.Bytes, p.Total); provisioner.KindOf(err) != provisioner.Invalid {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for i := range 2 * maxCounted {
		s.clock.advance(countEvery)
		s.count(t, a, fmt.Sprintf("stage-%d", i), 1, 0)
	}
	if n := len(s.progress(t)); n != maxCounted {
		t.Errorf("%d stages are kept", n)
	}
}

func TestCountsOfSeveralTransfersAtOnceAreAllKept(t *testing.T) {
	s, a := counting(t)
	var all sync.WaitGroup
	for _, stage := range []string{provisioner.StageRootfs, "disk", provisioner.StageMedium} {
		all.Go(func() {
			for i := range int64(1000) {
				if err := s.Counted(t.Context(), a, stage, i+1, 1000); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got := s.progress(t)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for _, p := range got {
		if p.Bytes != 1000 {
			t.Errorf("%d bytes of stage %s", p.Bytes, p.Stage)
		}
	}
}
