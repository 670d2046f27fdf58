// Package localui is the hand-off to an edge host that is managed locally, at
// its own API on port 5080, without Palette.
//
// The host is given its mode, its ID and a user with a password; after the
// install it is believed to be ready when its API says so of the very machine
// that was verified. On the way it may be given a content bundle and a cluster
// definition, and be linked with the other hosts of its order. The driver never
// tries a password twice that a host refused, because five bad log-ins lock the
// account: it asks a person. It does not make clusters. Start at
// [Driver.Confirm] and the steps it takes in confirm.go.
package localui

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/GehirnInc/crypt/sha512_crypt"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/stylus"
)

// trustedBoot is the family of images that are one signed EFI program.
const trustedBoot = "kairos-uki"

// Name is what orders call this driver.
const Name = "localui"

// Options of a driver; the zero value has no bundles to give.
type Options struct {
	// Bundles is the directory of content bundles and cluster definitions;
	// empty: no order may name any.
	Bundles string
	// Counted is told how far an upload is; nil: nobody is. It must not block.
	Counted func(ctx context.Context, attempt provisioner.AttemptID, stage string, bytes, total int64)
	Now     func() time.Time // nil means time.Now
}

// Driver implements [handoff.Driver]. It uploads only while Run does.
type Driver struct {
	now     func() time.Time
	bundles *bundles
	uploads *uploads

	mu       sync.Mutex
	sessions map[provisioner.AttemptID]*session
}

// New returns a driver that has spoken to nobody.
func New(o Options) *Driver {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Counted == nil {
		o.Counted = func(context.Context, provisioner.AttemptID, string, int64, int64) {}
	}
	files := &bundles{dir: o.Bundles, sums: map[string]sum{}}
	return &Driver{
		now: o.Now, bundles: files, uploads: newUploads(files, o.Counted),
		sessions: map[provisioner.AttemptID]*session{},
	}
}

// Run uploads what hosts are to be given until ctx ends.
func (d *Driver) Run(ctx context.Context) error { return d.uploads.run(ctx) }

// Name implements [handoff.Driver].
func (d *Driver) Name() string { return Name }

// Options implements [handoff.Driver].
func (d *Driver) Options(raw map[string]any) error {
	_, err := read(raw)
	return err
}

// Check implements [handoff.Driver]: it looks at what lies here, as the hosts
// are not there yet.
func (d *Driver) Check(_ context.Context, b handoff.Batch) (found handoff.Checked) {
	wrong := func(format string, args ...any) { found.Wrong = append(found.Wrong, fmt.Sprintf(format, args...)) }
	o, err := read(b.Options)
	if err != nil {
		wrong("%s.", err)
		return found
	}
	if b.Secrets[o.Password] == "" {
		wrong("handoff.password names the secret %q, which the order does not have: put it under secrets and import the order again.", o.Password)
	}
	for _, name := range o.files() {
		size, err := d.bundles.size(name)
		if err != nil {
			wrong("%s.", err)
			continue
		}
		found.Notes = append(found.Notes, fmt.Sprintf("%s with %.1f MB will be uploaded, %d hosts at a time.", name, float64(size)/1e6, uploaders))
	}
	if leader := o.Link.Leader; leader != "" && find(b.Hosts, leader) == nil {
		wrong("handoff.link.leader is %s, and no row of the order has that name or serial: name one that has.", leader)
	}
	for _, image := range otherAgents(o.AgentVersion, b.Images) {
		wrong("Image %s has agent %s, and handoff.agent_version wants %s: order an image with that agent, or change handoff.agent_version.",
			image.Name, stylus.AgentIn(image.Version), o.AgentVersion)
	}
	for id, hosts := range sameID(b.Hosts) {
		wrong("%s would have the same ID, %s: give them different names.", hosts, id)
	}
	return found
}

// otherAgents are the images that are known to have another agent than is wanted.
func otherAgents(want string, images map[string]handoff.Image) (list []handoff.Image) {
	for _, digest := range slices.Sorted(maps.Keys(images)) {
		have := stylus.AgentIn(images[digest].Version)
		if want != "" && have != "" && !stylus.SameVersion(have, want) {
			list = append(list, images[digest])
		}
	}
	return list
}

// Open implements [handoff.Driver]: there is nothing to make for an order.
func (d *Driver) Open(context.Context, handoff.Batch) (handoff.Opened, error) {
	return handoff.Opened{State: handoff.State("{}")}, nil
}

// Close implements [handoff.Driver]: there is nothing to take back.
func (d *Driver) Close(context.Context, handoff.Batch) (handoff.Closed, error) {
	return handoff.Closed{Done: "Nothing is taken back: the hosts are managed at their own APIs."}, nil
}

// Prepare implements [handoff.Driver]: the host's mode and ID, and a user that
// can log in.
func (d *Driver) Prepare(_ context.Context, b handoff.Batch, h provisioner.Host, _ string) (handoff.Carry, error) {
	o, err := read(b.Options)
	if err != nil {
		return handoff.Carry{}, operator(err)
	}
	password := b.Secrets[o.Password].Reveal()
	if password == "" {
		return handoff.Carry{}, operator(fmt.Errorf("handoff.password names the secret %q, which order %s does not have: put it under secrets", o.Password, b.Order))
	}
	if image := b.Images[h.Intent.Image]; image.Family == trustedBoot {
		return handoff.Carry{}, operator(fmt.Errorf("handoff.driver: image %s is for Trusted Boot, which Palette's agent does not have where it is managed locally: order another image, or the hand-off palette", image.Name))
	}
	if h.Intent.Ship && (len(o.files()) > 0 || o.Link.Leader != "") {
		return handoff.Carry{}, operator(errors.New("handoff: a host that ships is switched off before its local API could be given anything: leave content, definition and link out, or ship: true"))
	}
	hash, err := hashed(password, h)
	if err != nil {
		return handoff.Carry{}, err
	}
	agent := map[string]any{
		"managementMode": local, "disableTui": true, "localUI": map[string]any{"port": o.Port},
		"site": map[string]any{"name": idOf(h)},
	}
	if o.Link.Leader != "" {
		agent["enableMultiNode"] = true
	}
	user := map[string]any{o.User: map[string]any{"groups": []any{"sudo"}, "passwd": hash}}
	values := map[string]any{
		"stylus": agent,
		"stages": map[string]any{"initramfs": []any{map[string]any{"name": "the user of the local API", "users": user}}},
	}
	if b.Preview {
		if err := stylus.Check(b.Config, values, o.OtherKeys); err != nil {
			return handoff.Carry{}, operator(err)
		}
	}
	return handoff.Carry{
		Values: values,
		Hidden: []provisioner.Secret{provisioner.Secret(hash)},
		Note:   fmt.Sprintf("It becomes edge host %s, managed locally by user %s.", idOf(h), o.User),
	}, nil
}

// hashed is a password as crypt(3) writes it with SHA-512. Its salt is that of
// the attempt, so that the same attempt is given the same text.
func hashed(password string, h provisioner.Host) (string, error) {
	const saltLetters = 16
	mac := hmac.New(sha256.New, []byte(h.Status.Attempt.Token.Reveal()))
	mac.Write([]byte("salt of " + string(h.Status.Attempt.ID)))
	salt := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))[:saltLetters]
	return sha512_crypt.New().Generate([]byte(password), []byte("$6$"+salt))
}

// mark tells one credential from another without giving any of it away.
func mark(h provisioner.Host, user, password string) string {
	mac := hmac.New(sha256.New, []byte(h.Status.Attempt.Token.Reveal()))
	fmt.Fprintf(mac, "credential %d %s %s", len(user), user, password)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func operator(err error) error { return &provisioner.Fault{Kind: provisioner.Operator, Err: err} }
