package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Times of a delivery.
const (
	sendTime    = 15 * time.Second // for the whole of one request
	idleTime    = time.Minute      // that a connection is kept
	firstPause  = time.Second
	longPause   = 5 * time.Minute // between tries of a receiver that is away
	longRefusal = time.Hour       // between tries of an event that is refused
	longAsked   = time.Hour       // that a receiver may ask for by Retry-After
)

// verdict is what came of one try.
type verdict struct {
	outcome outcome
	say     string        // a sentence for people; empty when delivered
	after   time.Duration // that the receiver asked to be left alone; 0: it did not
}

type outcome int

const (
	delivered outcome = iota
	away              // the receiver takes nothing now; so nothing else is tried either
	refused           // it takes others, but not this
	gone              // it wants nothing any more
)

// send makes one try.
func (h *hook) send(ctx context.Context, m Message) verdict {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(m.Body))
	if err != nil {
		return verdict{outcome: away, say: "Its URL cannot be asked: correct it in the configuration."}
	}
	now := h.outbox.Now()
	req.Header = m.header(h.Secret, now)
	resp, err := h.client.Do(req)
	if err != nil {
		return verdict{outcome: away, say: fmt.Sprintf("The receiver cannot be reached: %v. It is tried again.", withoutURL(err))}
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	return judge(resp.StatusCode, resp.Header.Get("Retry-After"), now)
}

// withoutURL is an error of an HTTP client without the URL, which may hold a
// secret of its receiver.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// judge says what an answer means.
func judge(status int, retryAfter string, now time.Time) verdict {
	v := verdict{outcome: away, after: asked(retryAfter, now)}
	name := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	switch {
	case status >= 200 && status < 300:
		return verdict{outcome: delivered}
	case status == http.StatusGone:
		v.outcome = gone
		v.say = "The receiver answered 410 Gone: it wants no more events. Take the webhook out of the configuration, or mend the receiver and restart muster; what is queued stays queued."
	case status == http.StatusBadRequest, status == http.StatusConflict, status == http.StatusRequestEntityTooLarge,
		status == http.StatusUnsupportedMediaType, status == http.StatusUnprocessableEntity:
		v.outcome = refused
		v.say = "The receiver refuses an event (" + name + "): look at its log. The host's later events wait behind it; those of others go on."
	case status >= 300 && status < 400:
		v.say = "The receiver answered " + name + ": a redirect is not followed. Configure the URL that it leads to."
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		v.say = "The receiver answered " + name + ": compare the secret on both sides, and the clocks. It is tried again."
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		v.say = "The receiver answered " + name + ": nothing takes events at that URL. Correct it; it is tried again."
	default:
		v.say = "The receiver answered " + name + ". It is tried again."
	}
	return v
}

// asked reads Retry-After (RFC 9110 §10.2.3): seconds, or a date.
func asked(text string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longAsked)
}

// pauseAfter is how long nothing is tried after so many failures in a row: twice
// as long each time, up to most, a quarter more or less, so that many musters do
// not come at once.
func pauseAfter(failures int, most time.Duration) time.Duration {
	pause := most
	if n := failures - 1; n < 16 {
		pause = min(firstPause<<n, most)
	}
	return pause*3/4 + rand.N(pause/2)
}
