package api_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func TestAWatchSeesWhatHappensAndResumesWhereItWas(t *testing.T) {
	s := newSite(t)
	s.imports("serial\nS0\n")
	before, err := s.Store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.imports("serial\nS0\nS1\n")
	first := s.next(before)
	if first.Entry.Kind != "intent" || first.Host == nil || first.Host.Serial != "S1" {
		t.Errorf("event %+v", first)
	}
	if _, err := s.Hold(t.Context(), "S1", "x"); err != nil {
		t.Fatal(err)
	}
	second := s.next(first.Revision)
	if second.Entry.Text != "Held: x" || second.Entry.Seq != 2 {
		t.Errorf("event %+v", second)
	}
	if err := s.Remove(t.Context(), "S1", false); err != nil {
		t.Fatal(err)
	}
	if last := s.next(second.Revision); last.Host != nil || last.Entry.Text != "Removed." {
		t.Errorf("event %+v", last)
	}
}

// next is the first event after a revision.
func (s *site) next(after uint64) v1.Event {
	s.t.Helper()
	var got v1.Event
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	err := s.Watch(ctx, after, func(ev v1.Event) error {
		got = ev
		return enough
	})
	if !errors.Is(err, enough) {
		s.t.Fatal(err)
	}
	return got
}

func TestAReaderOfAnotherStoresPastIsToldToListAnew(t *testing.T) {
	s := newSite(t)
	err := s.Watch(t.Context(), 1<<40, func(ev v1.Event) error { return fmt.Errorf("event %+v", ev) })
	if !errors.Is(err, client.ErrReset) {
		t.Errorf("error %v", err)
	}
}

func TestAWatchEndsWithItsServer(t *testing.T) {
	s := newSite(t)
	s.imports("serial\nS0\n")
	before, err := s.Store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.imports("serial\nS0\nS1\n")
	err = s.Watch(t.Context(), before, func(v1.Event) error {
		s.Halt()
		return nil
	})
	if away := (*client.Unreachable)(nil); !errors.As(err, &away) {
		t.Errorf("error %v", err)
	}
}
