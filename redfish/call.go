package redfish

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/muster-boot/muster/redfish/quirk"
)

// call sends a request and waits out what passes: a BMC that is busy, one that
// restarts, a session that has timed out. A request that may have acted is not
// sent again when its answer got lost; its user looks instead.
func (l *link) call(ctx context.Context, method, path string, header map[string]string, body any) (reply, error) {
	tries := patience{left: l.options.Pace.Patience, strays: 1, logins: 3}
	for {
		used := !l.wire.fresh
		r, err := l.exchange(ctx, method, path, header, body)
		switch {
		case err != nil && (CauseOf(err) != Unreachable || !l.known || method != http.MethodGet || tries.left <= 0):
			return r, err
		case err != nil && used: // it closes used connections, from now on each request has its own
			tries.left -= l.options.Pace.Busy
			if err := l.options.wait(ctx, l.options.Pace.Busy, "the BMC closed the connection, it is asked again on a new one"); err != nil {
				return reply{}, err
			}
		case err != nil:
			if err := l.outage(ctx, &tries, err); err != nil {
				return reply{}, err
			}
		case r.status == http.StatusUnauthorized && l.basic:
			l.bar(r.fault("log in", l.quirk))
			return reply{}, l.barred
		case r.status == http.StatusUnauthorized && l.session != "" && tries.strays > 0:
			tries.strays-- // iLO gives some that mean nothing
		case r.status == http.StatusUnauthorized && l.session != "" && tries.logins > 0:
			tries.logins-- // the session has timed out, or the BMC forgot it
			if err := l.login(ctx); err != nil {
				return reply{}, err
			}
			tries.strays = 1
		case r.status == http.StatusNotAcceptable && !l.wire.bare:
			l.wire.bare = true // HPE refuses identity for some resources
		case r.busy() && tries.left > 0:
			pause := r.after(l.options.Pace.Busy)
			tries.left -= pause
			if err := l.options.wait(ctx, pause, "the BMC is busy: "+r.words()); err != nil {
				return reply{}, err
			}
		default:
			return r, nil
		}
	}
}

// patience is what is left of it during one call.
type patience struct {
	left           time.Duration
	strays, logins int
}

// outage waits until a silent BMC answers steadily: one that has just started
// answers once and is busy again.
func (l *link) outage(ctx context.Context, tries *patience, cause error) error {
	const steady = 3
	for good := 0; good < steady; {
		if tries.left -= l.options.Pace.Busy; tries.left < 0 {
			return cause
		}
		if err := l.options.wait(ctx, l.options.Pace.Busy, "the BMC does not answer, it may be restarting"); err != nil {
			return err
		}
		r, err := l.exchange(ctx, http.MethodGet, rootPath, nil, nil)
		if err != nil && CauseOf(err) != Unreachable {
			return err
		}
		good++
		if err != nil || !r.ok() {
			good = 0
		}
	}
	return nil
}

// after is how long the BMC asks to be left alone, within bounds.
func (r reply) after(least time.Duration) time.Duration {
	most := 4 * least
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return least
	}
	return max(least, min(time.Duration(seconds)*time.Second, most))
}

// get reads a resource. A refusal is a fault.
func (l *link) get(ctx context.Context, path string) (Object, reply, error) {
	r, err := l.call(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return nil, r, err
	}
	if !r.ok() {
		return nil, r, r.fault("read "+path, l.quirk)
	}
	o, ok := parseObject(r.body)
	if !ok {
		return nil, r, retry(Refused, fmt.Sprintf("the BMC's answer for %s is not JSON", path), nil)
	}
	return o, r, nil
}

// members reads which resources a collection has: at most 128, over all pages.
func (l *link) members(ctx context.Context, path string) ([]string, error) {
	const mostPages, most = 8, 128
	var list []string
	for page := 0; path != "" && page < mostPages && len(list) < most; page++ {
		o, _, err := l.get(ctx, path)
		if err != nil {
			return list, err
		}
		list = append(list, o.Links("Members")...)
		path = local(o.Text("Members@odata.nextLink"))
	}
	return list[:min(len(list), most)], nil
}

// patch changes a resource, with the forms of If-Match that the BMC may want,
// one after the other while it answers 412 or 428.
func (l *link) patch(ctx context.Context, path, etag string, body any) (reply, error) {
	forms := l.quirk.HTTP.ETags
	if len(forms) == 0 {
		forms = []quirk.ETag{quirk.Given, quirk.Strong, quirk.None, quirk.Any}
	}
	var r reply
	sent := map[string]bool{}
	for _, form := range forms {
		value := ifMatch(form, etag)
		if sent[value] {
			continue
		}
		sent[value] = true
		var header map[string]string
		if value != "" {
			header = map[string]string{"If-Match": value}
		}
		var err error
		r, err = l.call(ctx, http.MethodPatch, path, header, body)
		if err != nil || (r.status != http.StatusPreconditionFailed && r.status != http.StatusPreconditionRequired) {
			return r, err
		}
	}
	return r, nil
}

// ifMatch is a form of an ETag (RFC 9110 §8.8.3), "" for no header.
func ifMatch(form quirk.ETag, etag string) string {
	const longest = 63 // iLO answers 400 to a longer one
	switch form {
	case quirk.Any:
		return "*"
	case quirk.Strong:
		etag = strings.Replace(strings.TrimPrefix(etag, "W/"), `-gzip"`, `"`, 1)
	case quirk.None:
		return ""
	case quirk.Given:
	}
	if len(etag) > longest {
		return ""
	}
	return etag
}

// etagOf is a resource's ETag, from the header or the resource.
func etagOf(o Object, r reply) string {
	if e := r.header.Get("ETag"); e != "" {
		return e
	}
	return o.Text("@odata.etag")
}
