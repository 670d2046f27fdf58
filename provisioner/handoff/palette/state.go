package palette

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// state is what an order keeps: its project, and the tokens that were made for
// it, of which hosts are given the last.
type state struct {
	Name    string  `json:"name"`    // of the project
	Project string  `json:"project"` // uid
	Tokens  []token `json:"tokens"`
}

// token is one registration token.
type token struct {
	UID     string    `json:"uid,omitempty"` // empty: of a file, and Palette did not say whose it is
	Value   string    `json:"value"`
	Expires time.Time `json:"expires,omitzero"`
	Made    bool      `json:"made,omitempty"` // by us: it is revoked when the order is over
	// Unproven is one of a file that Palette could not be asked about.
	Unproven bool `json:"unproven,omitempty"`
}

// leastLeft is how long a token must still be valid when a host is given it: it
// registers when it has been installed.
const leastLeft = 24 * time.Hour

func readState(s handoff.State) (st state, err error) {
	if len(s) == 0 {
		return st, nil
	}
	if err := json.Unmarshal(s, &st); err != nil {
		return st, fmt.Errorf("read what the order keeps of Palette: %w", err)
	}
	return st, nil
}

// last is the token that hosts are given.
func (s state) last() (token, bool) {
	if len(s.Tokens) == 0 {
		return token{}, false
	}
	return s.Tokens[len(s.Tokens)-1], true
}

// lasting tells whether t is still valid for that long.
func (t token) lasting(now time.Time, least time.Duration) bool {
	return t.Expires.IsZero() || t.Expires.Sub(now) >= least
}

// least is how long the token of a host that begins now must still be valid. One
// that ships registers when it has arrived, and the last of a long order, too.
func (o options) least(hosts []provisioner.Host) time.Duration {
	if o.Token.File == "" && slices.ContainsFunc(hosts, ships) {
		return max(leastLeft, o.Token.lasts()/2)
	}
	return leastLeft
}

func ships(h provisioner.Host) bool { return h.Intent.Ship }

// tokenName follows from the order, so that a token whose answer was lost is
// found again. It is no other order's, of this muster or another: the n-th of
// an order has its number last, always, as order-2 may be an order too.
func (d *Driver) tokenName(order provisioner.OrderName, n int) string {
	parts := []string{"muster"}
	for _, own := range []string{slug(d.settings.Site), d.settings.Server} {
		if own != "" {
			parts = append(parts, own)
		}
	}
	return strings.Join(append(parts, string(order), fmt.Sprint(n+1)), "-")
}

// Open implements [handoff.Driver]: the order's registration token.
func (d *Driver) Open(ctx context.Context, b handoff.Batch) (handoff.Opened, error) {
	o, err := readOptions(b.Options)
	if err != nil {
		return handoff.Opened{}, operator(err)
	}
	st, err := readState(b.State)
	if err != nil {
		return handoff.Opened{}, err
	}
	last, ok := st.last()
	fits := ok && st.Name == o.Project && last.lasting(d.now(), o.least(b.Hosts)) && (o.Token.File != "") == !last.Made && d.current(o, last)
	if fits && !last.Unproven {
		return handoff.Opened{State: b.State}, nil
	}
	project, err := d.projectUID(ctx, o.Project, lookEvery)
	blind := o.Token.File != "" && away(err)
	switch {
	case blind && fits:
		return handoff.Opened{State: b.State}, nil
	case err != nil && !blind:
		return handoff.Opened{}, d.fault(err)
	}
	st.Name, st.Project = o.Project, project
	t, note, err := d.token(ctx, o, st, b, blind)
	if err != nil {
		return handoff.Opened{}, d.fault(err)
	}
	st.Tokens = append(st.Tokens, t)
	kept, err := json.Marshal(st)
	return handoff.Opened{State: kept, Note: note}, err
}

// token is what hosts of an order are given from now on. blind: Palette cannot
// be asked, and has not to be where somebody brought a token along.
func (d *Driver) token(ctx context.Context, o options, st state, b handoff.Batch, blind bool) (token, string, error) {
	switch {
	case blind:
		return d.unproven(o.Token.File)
	case o.Token.File != "":
		return d.given(ctx, o.Token.File)
	}
	return d.made(ctx, o, st, d.tokenName(b.Order, len(st.Tokens)), o.least(b.Hosts))
}

// unproven is a token of a file as it is: a site without a way to Palette
// installs hosts that register elsewhere.
func (d *Driver) unproven(file string) (token, string, error) {
	value, err := secretIn(file, tokenIn)
	return token{Value: value, Unproven: true}, "Took the registration token of a file; Palette could not be asked how long it is valid.", err
}

// current tells whether a token of a file is still what the file has.
func (d *Driver) current(o options, t token) bool {
	if t.Made {
		return true
	}
	value, err := secretIn(o.Token.File, tokenIn)
	return err == nil && value == t.Value
}

// projectUID finds a project by its name, among those of at most maxAge ago.
func (d *Driver) projectUID(ctx context.Context, name string, maxAge time.Duration) (string, error) {
	all, err := d.lookout.projects(ctx, maxAge)
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if p.Name == name {
			return p.UID, nil
		}
	}
	return "", &errFile{fmt.Sprintf("Palette at %s has no project %q that the key may see: make it there, or name another in handoff.project of the order", d.settings.Endpoint, name)}
}

// made is a token for the order: the one that a lost answer left behind, where
// it will do, or else a new one.
func (d *Driver) made(ctx context.Context, o options, st state, name string, least time.Duration) (token, string, error) {
	all, err := d.client.tokens(ctx)
	if err != nil {
		return token{}, "", err
	}
	for _, r := range all {
		if r.Metadata.Name != name {
			continue
		}
		t := token{UID: r.Metadata.UID, Value: r.Spec.Token, Expires: r.Spec.Expiry.Time, Made: true}
		if r.Status.IsActive && t.Value != "" && r.Spec.DefaultProject.UID == st.Project && t.lasting(d.now(), least) {
			return t, fmt.Sprintf("Found registration token %s (%s), valid until %s.", name, t.UID, day(t.Expires)), nil
		}
		if err := d.client.deleteToken(ctx, t.UID); err != nil {
			return token{}, "", err
		}
	}
	uid, err := d.client.createToken(ctx, name, st.Project, d.now().Add(o.Token.lasts()))
	if err != nil {
		return token{}, "", err
	}
	r, err := d.client.token(ctx, uid)
	switch {
	case err != nil:
		return token{}, "", err
	case r.Spec.Token == "":
		return token{}, "", errGarbled
	}
	t := token{UID: uid, Value: r.Spec.Token, Expires: r.Spec.Expiry.Time, Made: true}
	return t, fmt.Sprintf("Made registration token %s (%s), valid until %s.", name, uid, day(t.Expires)), nil
}

// given is a token that somebody made and put into a file. What Palette says of
// it is taken where the key may ask.
func (d *Driver) given(ctx context.Context, file string) (token, string, error) {
	value, err := secretIn(file, tokenIn)
	if err != nil {
		return token{}, "", err
	}
	t := token{Value: value}
	all, err := d.client.tokens(ctx)
	switch {
	case denied(err):
		return t, "Took the registration token of a file; the key may not ask Palette how long it is valid.", nil
	case err != nil:
		return t, "", err
	}
	for _, r := range all {
		if r.Spec.Token != value {
			continue
		}
		t.UID, t.Expires = r.Metadata.UID, r.Spec.Expiry.Time
		if !r.Status.IsActive || !t.lasting(d.now(), leastLeft) {
			return t, "", &errFile{fmt.Sprintf("the registration token %s in %s is switched off or ends %s: put one there that is valid for more than %s", t.UID, file, day(t.Expires), span(leastLeft))}
		}
		return t, fmt.Sprintf("Took registration token %s of a file, valid until %s.", t.UID, day(t.Expires)), nil
	}
	return t, "", &errFile{fmt.Sprintf("the token in %s is none that Palette at %s has: put a valid one there", file, d.settings.Endpoint)}
}

// Close implements [handoff.Driver]: tokens that were made are revoked.
func (d *Driver) Close(ctx context.Context, b handoff.Batch) (handoff.Closed, error) {
	st, err := readState(b.State)
	if err != nil {
		return handoff.Closed{}, err
	}
	var gone []string
	for _, t := range st.Tokens {
		if !t.Made {
			continue
		}
		if err := d.client.deleteToken(ctx, t.UID); err != nil {
			return d.notClosed(err), nil
		}
		gone = append(gone, t.UID)
	}
	if len(gone) == 0 {
		return handoff.Closed{Done: "The registration token came from a file and is left as it is: revoke it in Palette when it is needed no more."}, nil
	}
	return handoff.Closed{Done: "Revoked registration token " + strings.Join(gone, ", ") + "."}, nil
}

func (d *Driver) notClosed(err error) handoff.Closed {
	if away(err) {
		return handoff.Closed{Waits: "The registration token is revoked when Palette answers: " + d.sentence(err), Again: retryClose}
	}
	return handoff.Closed{Ask: "The registration token is not revoked: " + d.sentence(err), Again: retryClose}
}

// retryClose is how often a token is tried to be revoked.
const retryClose = 2 * time.Minute
