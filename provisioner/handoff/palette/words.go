package palette

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muster-boot/muster/provisioner"
)

// sentence says why Palette did not do as asked, in words that stay the same
// while that is so.
func (d *Driver) sentence(err error) string {
	at, key := d.settings.Endpoint, d.settings.KeyFile
	_, ours := errors.AsType[*errFile](err)
	switch {
	case ours:
		return upper(err.Error()) + "."
	case is(err, http.StatusUnauthorized):
		return fmt.Sprintf("Palette at %s takes the API key in %s for none (401): put a valid one there; muster reads it anew each time.", at, key)
	case is(err, http.StatusForbidden):
		return fmt.Sprintf("Palette at %s does not let the API key in %s do this (403): give its user the permissions edgeToken.create, .get and .delete of the tenant and edgehost.list, .get and .delete of the project.", at, key)
	}
	return fmt.Sprintf("Palette at %s %s.", at, reason(err))
}

// reason is the part of an error that stays the same.
func reason(err error) string {
	for _, known := range []error{errUntrusted, errGarbled, errLimited, errLooking} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.Error()
	}
	return errSilent.Error()
}

// fault is err for the engine: over by itself, or a person's to mend.
func (d *Driver) fault(err error) error {
	kind := provisioner.Operator
	if away(err) || errors.Is(err, errLooking) {
		kind = provisioner.Retry
	}
	return &provisioner.Fault{Kind: kind, Err: errors.New(strings.TrimSuffix(d.sentence(err), "."))}
}

func operator(err error) error { return &provisioner.Fault{Kind: provisioner.Operator, Err: err} }

// upper begins a text as a sentence.
func upper(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// span is a length of time as people write it.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// day is a time in a sentence.
func day(t time.Time) string {
	if t.IsZero() {
		return "an end that Palette does not tell"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}
