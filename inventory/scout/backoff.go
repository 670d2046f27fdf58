package scout

import (
	"context"
	"time"
)

const (
	firstBackoff   = 500 * time.Millisecond
	longestBackoff = 10 * time.Second
)

// backoff is how long to wait after the failure of a try, counted from 0: it
// doubles up to the longest, less up to half of it by the given random number
// in [0,1), so that a room full of hosts does not ask in step.
func backoff(try int, random float64) time.Duration {
	d := longestBackoff
	if try < 5 { // 0.5 s * 2^5 is past the longest
		d = min(firstBackoff<<try, longestBackoff)
	}
	return d - time.Duration(random*float64(d)/2)
}

// pause waits for d and says whether it did: false means that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
