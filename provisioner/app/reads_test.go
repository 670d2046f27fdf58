package app

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

func TestSpansCountEachByteOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s spans
	const size = 4096
	read := make([]bool, size)
	for range 2000 {
		from := random.Int64N(size)
		length := random.Int64N(min(64, size-from) + 1)
		s.add(from, length)
		want := int64(0)
		for i := range read {
			read[i] = read[i] || int64(i) >= from && int64(i) < from+length
			if read[i] {
				want++
			}
		}
		if s.bytes != want {
			t.Fatalf("%d bytes are counted, %d were read", s.bytes, want)
		}
	}
}

func TestSpansStayFewAndNeverCountTooMuch(t *testing.T) {
	var s spans
	for i := range int64(10 * maxSpans) {
		s.add(i*100, 10)
	}
	if want := int64(10 * maxSpans * 10); len(s.list) > maxSpans || s.bytes != want {
		t.Errorf("%d spans, %d bytes, want %d", len(s.list), s.bytes, want)
	}
	s.add(0, 10*maxSpans*100)
	if s.bytes > 10*maxSpans*100 {
		t.Errorf("%d bytes are counted of %d", s.bytes, 10*maxSpans*100)
	}
}

func TestWhatIsRememberedOfReadersIsBounded(t *testing.T) {
	r, now := newReads(), time.Unix(0, 0)
	for i := range 2 * maxReadAttempts {
		now = now.Add(time.Second)
		attempt := provisioner.AttemptID(fmt.Sprint("a-", i))
		for n := range 2 * maxReaders {
			if news := r.asked(attempt, fmt.Sprint(n), now); news != (n < maxReaders) {
				t.Fatalf("reader %d is news: %t", n, news)
			}
		}
	}
	if len(r.attempts) != maxReadAttempts || len(r.readers("a-0")) != 0 {
		t.Errorf("%d attempts are remembered, the oldest with %d readers", len(r.attempts), len(r.readers("a-0")))
	}
	latest := provisioner.AttemptID(fmt.Sprint("a-", 2*maxReadAttempts-1))
	if got := r.fetched(latest, "somebody else", 0, 100, now); got != 100 || len(r.readers(latest)) != maxReaders {
		t.Errorf("%d bytes, %d readers", got, len(r.readers(latest)))
	}
}
