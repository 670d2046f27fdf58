package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/muster-boot/muster/redfish/quirk"
	"github.com/stmcginnis/gofish"
)

const (
	rootPath = "/redfish/v1/" // DSP0266 §6.3
	// farewell is how long a session's deletion may take when its user is gone.
	farewell = 10 * time.Second
)

// link is the way to one BMC: at most one session, and one request at a time as
// it has one user at a time, see [BMC].
type link struct {
	target   Target
	options  Options
	endpoint string
	wire     *wire
	api      *gofish.APIClient
	session  string // its path; "" with Basic or before the login
	basic    bool
	barred   *Fault // why nothing more is sent: a refused password is not tried again
	root     Object
	quirk    quirk.Quirk // the zero row until the BMC is known
	known    bool        // it has answered before, so silence is an outage
}

func newLink(t Target, o Options) (*link, error) {
	endpoint, err := t.endpoint()
	if err != nil {
		return nil, err
	}
	p, err := newPin(t.Fingerprint)
	if err != nil {
		return nil, err
	}
	l := &link{target: t, options: o, endpoint: endpoint, wire: newWire(p)}
	l.api, err = l.gofish("", false)
	return l, err
}

// gofish makes its client: without a user nobody is logged in, with Basic each
// request carries the password, else a session is opened. gofish wants a
// ServiceRoot in types of its own; it is given the links of the one that was
// read, so that a mistyped property there does not lose the BMC.
func (l *link) gofish(user string, basic bool) (*gofish.APIClient, error) {
	greeting, err := json.Marshal(map[string]any{"Links": map[string]any{"Sessions": map[string]string{"@odata.id": l.sessions()}}})
	if err != nil {
		return nil, err
	}
	l.wire.greeting, l.wire.last = greeting, reply{}
	defer func() { l.wire.greeting = nil }()
	return gofish.ConnectContext(context.Background(), gofish.ClientConfig{
		Endpoint: l.endpoint, Username: user, Password: string(l.target.Password), BasicAuth: basic, HTTPClient: l.wire.client(),
	})
}

// sessions is the path of the collection of sessions, "" if there is none.
func (l *link) sessions() string {
	if s := l.root.Link("Links", "Sessions"); s != "" {
		return s
	}
	if s := l.root.Link("SessionService"); s != "" {
		return strings.TrimSuffix(s, "/") + "/Sessions"
	}
	return ""
}

// exchange sends one request and gives the answer, whatever its status. The
// error is a silent BMC, a wrong certificate or the end of ctx.
func (l *link) exchange(ctx context.Context, method, path string, header map[string]string, body any) (reply, error) {
	var payload io.ReadSeeker
	var kind string
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return reply{}, err
		}
		payload, kind = bytes.NewReader(b), "application/json"
	}
	return l.send(ctx, func() error {
		resp, err := l.api.RunRawRequestWithHeaders(method, path, payload, kind, header)
		if resp != nil {
			resp.Body.Close()
		}
		return err
	})
}

// send makes one call and gives the answer to it.
func (l *link) send(ctx context.Context, call func() error) (reply, error) {
	if l.barred != nil {
		return reply{}, l.barred
	}
	limited, cancel := context.WithTimeout(ctx, l.options.Pace.Request)
	defer cancel()
	l.wire.ctx, l.wire.last = limited, reply{}
	err := call()
	if l.wire.last.status != 0 {
		l.known = true
		return l.wire.last.without(l.target.Password, l.target.NewPassword), nil // gofish makes an error of a refusal; the refusal says more
	}
	if ctx.Err() != nil {
		return reply{}, ctx.Err()
	}
	var f *Fault
	if errors.As(err, &f) {
		return reply{}, f
	}
	l.wire.fresh = l.wire.fresh || l.known // iLO resets connections that are used again
	return reply{}, retry(Unreachable, fmt.Sprintf("the BMC at %s does not answer; look at its power, cable and address", l.target.Address), err)
}

// hello reads the service root, which needs no login (DSP0266 §6.3).
func (l *link) hello(ctx context.Context) error {
	r, err := l.call(ctx, http.MethodGet, rootPath, nil, nil)
	if err != nil {
		return err
	}
	if r.busy() {
		return r.fault("say what it is", l.quirk)
	}
	root, ok := parseObject(r.body)
	if !r.ok() || !ok || (root.Text("RedfishVersion") == "" && root.Link("Systems") == "") {
		return operator(Unreachable, fmt.Sprintf("at %s something answers that is not Redfish (%s); is it the BMC's address, and is Redfish switched on there?", l.target.Address, r.words()))
	}
	l.root = root
	return nil
}

// login opens a session, or takes Basic where there are none. The password is
// sent once: a refusal bars the link. A login is never cut off by ctx, as a
// session whose answer nobody read could not be deleted.
func (l *link) login(ctx context.Context) error {
	if l.sessions() == "" {
		return l.takeBasic()
	}
	old := l.session
	r, err := l.send(context.WithoutCancel(ctx), func() error {
		api, err := l.gofish(l.target.User, false)
		if err == nil {
			l.api = api
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case r.ok() && r.header.Get("X-Auth-Token") != "":
		l.session, l.basic = sessionPath(r), false
		if old != "" && old != l.session {
			l.forget(ctx, old)
		}
		return nil
	case r.ok(), r.status == http.StatusNotFound, r.status == http.StatusMethodNotAllowed, r.status == http.StatusNotImplemented:
		return l.takeBasic()
	}
	f := r.fault("log in", l.quirk)
	if f.Cause == WrongPassword || f.Cause == NewPassword || f.Cause == Rights {
		l.bar(f)
	}
	return f
}

// bar stops everything: what is sent from now on would try the account again.
func (l *link) bar(f *Fault) {
	l.barred = f
	l.options.Guard.Note(l.target, f)
}

// takeBasic sends nothing yet: the next request shows whether it is taken.
func (l *link) takeBasic() error {
	api, err := l.gofish(l.target.User, true)
	if err != nil {
		return err
	}
	l.api, l.session, l.basic = api, "", true
	return nil
}

// changePassword gives the account its new password, in the session that the
// BMC allowed for this alone, or by Basic. It is done once.
func (l *link) changePassword(ctx context.Context, account string) error {
	l.barred = nil
	if account == "" {
		account = strings.TrimSuffix(l.root.Link("AccountService"), "/") + "/Accounts/" + l.target.User
	}
	if l.session == "" {
		if err := l.takeBasic(); err != nil {
			return err
		}
	}
	r, err := l.patch(ctx, account, "", map[string]string{"Password": string(l.target.NewPassword)})
	if err != nil {
		return err
	}
	if !r.ok() {
		l.barred = operator(NewPassword, "the BMC wants a new password and did not take the one it was given; give another: "+r.words())
		return l.barred
	}
	l.target = l.target.renewed()
	return nil
}

// takeNew goes on with the new password, which is tried once as any other.
func (l *link) takeNew() error {
	l.barred, l.target = nil, l.target.renewed()
	return l.options.Guard.Check(l.target)
}

// sessionPath is where a new session can be deleted.
func sessionPath(r reply) string {
	if path := local(r.header.Get("Location")); path != "" {
		return path
	}
	o, _ := parseObject(r.body)
	return o.Link()
}

// forget deletes a session that is not used any more; it may be gone already.
func (l *link) forget(ctx context.Context, session string) {
	_, _ = l.logout(ctx, session) // it times out by itself otherwise
}

// logout deletes a session, once more where a 401 or a silence may mean nothing.
func (l *link) logout(ctx context.Context, session string) (r reply, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	const tries = 3
	for range tries {
		r, err = l.exchange(ctx, http.MethodDelete, session, nil, nil)
		if err == nil && r.status != http.StatusUnauthorized && !r.busy() {
			return r, nil
		}
	}
	return r, err
}

// close deletes the session, also when ctx has ended.
func (l *link) close(ctx context.Context) error {
	defer l.wire.transport.CloseIdleConnections()
	if l.session == "" {
		return nil
	}
	l.barred = nil // what is sent now carries no password
	session := l.session
	l.session = ""
	r, err := l.logout(ctx, session)
	if err != nil {
		return fmt.Errorf("delete the session at %s, which stays until it times out: %w", l.target.Address, err)
	}
	if !r.ok() && r.status != http.StatusNotFound && r.status != http.StatusUnauthorized {
		return fmt.Errorf("delete the session at %s, which stays until it times out: %w", l.target.Address, r.fault("delete the session", l.quirk))
	}
	return nil
}
