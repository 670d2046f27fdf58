package palette

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/handofftest"
	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
)

// clock is a time that only a test moves; sleeping moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.advance(d)
	return ctx.Err()
}

// room is a driver and the stand-in that it asks, by HTTPS over real sockets.
type room struct {
	*Driver
	up       *palettetest.Listening
	clock    *clock
	settings Settings
	batch    handoff.Batch
}

const (
	apiKey = "k3y-of-the-tenant"
	began  = "2026-05-04 09:00"
)

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{clock: &clock{at: handofftest.Began}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.up, err = palettetest.Serve(palettetest.New(palettetest.Options{Key: apiKey, Now: r.clock.now}), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.up.Close() })
	dir := t.TempDir()
	r.settings = Settings{Endpoint: r.up.Endpoint, KeyFile: filepath.Join(dir, "key"), CAFile: filepath.Join(dir, "ca.pem"), Site: "Plant 7", Server: "0f1e2d3c"}
	write(t, r.settings.KeyFile, apiKey+"\n")
	write(t, r.settings.CAFile, string(r.up.CA))
	r.batch = handoff.Batch{Order: "o1", Options: map[string]any{"project": "edge"}, Images: map[string]handoff.Image{}}
	r.Driver = r.again(t)
	return r
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// again is the driver of a server that was started again.
func (r *room) again(t *testing.T) *Driver {
	t.Helper()
	d, err := New(r.settings, Options{Now: r.clock.now, Sleep: r.clock.sleep})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// opened is the order with its token.
func (r *room) opened(t *testing.T) handoff.Batch {
	t.Helper()
	made, err := r.Open(t.Context(), r.batch)
	if err != nil {
		t.Fatal(err)
	}
	b := r.batch
	b.State = made.State
	return b
}

// host is one that was verified and installed.
func (r *room) host(n int) provisioner.Host {
	h := provisioner.Host{ID: provisioner.HostID(fmt.Sprintf("h-%d", n)), Intent: provisioner.Intent{Order: "o1", Handoff: Name, Image: "d1"}}
	h.Intent.Row = provisioner.Row{Serial: fmt.Sprintf("SN_%04d", n), Name: fmt.Sprintf("rack4-u%d", n)}
	h.Status = provisioner.Status{Phase: provisioner.Installed, Since: r.clock.now(),
		Attempt: provisioner.Attempt{ID: provisioner.AttemptID(fmt.Sprintf("a-%d", n)), Phase: provisioner.Installing, Began: r.clock.now()}}
	h.Facts.Report = &provisioner.Report{Report: inventory.Report{
		Memory: 7938 << 20, Disks: []inventory.Disk{{Name: "nvme0n1", Size: 100_000_000_000}},
		NICs: []inventory.NIC{{Name: "eth0", MAC: macOfHost(n)}},
	}}
	return h
}

func macOfHost(n int) string { return fmt.Sprintf("52:54:00:00:%02x:%02x", n>>8, n&0xff) }

// record is what Palette has of that host when its agent registered.
func record(n int) palettetest.Host {
	uid := fmt.Sprintf("plant-7-sn-%04d", n)
	return palettetest.Host{
		UID: uid, Name: uid, Project: "p-edge", Agent: "4.9.7",
		Device: map[string]any{
			"memory": map[string]any{"sizeInMB": 7936}, "disks": []any{map[string]any{"name": "nvme0n1", "size": 100}},
			"nics": []any{map[string]any{"nicName": "eno1", "macAddr": macOfHost(n)}},
		},
		Address: map[string]any{"macAddress": macOfHost(n)},
	}
}

func TestPaletteKeepsTheContract(t *testing.T) {
	handofftest.Run(t, func(t *testing.T) handofftest.Subject {
		r := newRoom(t)
		r.clock.advance(-time.Hour) // the token was made before
		s := handofftest.Subject{
			Driver: r.Driver, Batch: r.batch, Sees: []handofftest.Key{handofftest.ByMAC},
			Register: func(h *provisioner.Host, a handofftest.Agent) {
				at := handofftest.Began.Add(5 * time.Minute)
				if a.Attempt != h.Status.Attempt.ID {
					at = handofftest.Began.Add(-24 * time.Hour)
				}
				r.up.Put(palettetest.Host{
					UID: r.uidsOf(options{Identity: byName}, *h)[0], Project: "p-edge", Created: at, Agent: "4.9.7",
					Device: map[string]any{"nics": []any{map[string]any{"macAddr": a.MAC}}},
				})
			},
			Service: &handofftest.Service{
				Again: func(t *testing.T) handoff.Driver { return r.again(t) },
				Fail:  r.fail, Pass: r.clock.advance, Made: func() int { return len(r.up.Tokens()) },
				Secrets: func() []string {
					secrets := []string{apiKey}
					for _, token := range r.up.Tokens() {
						secrets = append(secrets, token.Value)
					}
					return secrets
				},
			},
		}
		return s
	})
}

// fail has the stand-in be in one kind of trouble.
func (r *room) fail(trouble handofftest.Trouble) {
	r.up.SetKey(apiKey)
	r.up.Fail(map[handofftest.Trouble]palettetest.Faults{
		handofftest.Away:    {Away: true},
		handofftest.Slow:    {Slow: 2 * time.Minute},
		handofftest.Limited: {Status: 429},
		handofftest.Garbled: {Garbage: true},
		handofftest.Failing: {Status: 503},
	}[trouble])
	if trouble == handofftest.Denied {
		r.up.SetKey("another")
	}
}

// TestEachAnswerOfPaletteHasItsSentence: what can be wrong with a registration.
func TestEachAnswerOfPaletteHasItsSentence(t *testing.T) {
	for _, tc := range []struct {
		name string
		put  func(r *room)
		ask  bool
		says string
	}{
		{"never arrived", func(*room) {}, false, "the Edge host plant-7-sn-0001 in project edge of Palette at "},
		{"unhealthy", func(r *room) {
			h := record(1)
			h.Message = "agent cannot start"
			r.up.Put(h)
		}, false, "does not call it healthy but unhealthy: agent cannot start."},
		{"known by name only", func(r *room) {
			h := record(1)
			h.State = "unpaired"
			r.up.Put(h)
		}, false, "knows by name only"},
		{"hardware not shown", func(r *room) {
			h := record(1)
			h.Device, h.Address = nil, nil
			r.up.Put(h)
		}, false, "does not show yet"},
		{"from before", func(r *room) {
			h := record(1)
			h.Created = r.clock.now().Add(-time.Hour)
			r.up.Put(h)
		}, true, "from before this installation"},
		{"another machine under the name", func(r *room) {
			h := record(2)
			h.UID = "plant-7-sn-0001"
			r.up.Put(h)
		}, true, "another machine registered under this host's name"},
		{"other memory", func(r *room) {
			h := record(1)
			h.Device["memory"] = map[string]any{"sizeInMB": 16384}
			r.up.Put(h)
		}, true, "16384 MiB of memory, but 7938 MiB were verified"},
		{"other disks", func(r *room) {
			h := record(1)
			h.Device["disks"] = []any{map[string]any{"size": 480}, map[string]any{"size": 960}}
			r.up.Put(h)
		}, true, "disks of 480 GB, 960 GB, but disks of 100 GB were verified"},
		{"twice", func(r *room) {
			r.up.Put(record(1))
			h := record(1)
			h.UID = "edge-00112233"
			r.up.Put(h)
		}, true, "has this machine twice, as plant-7-sn-0001 and as edge-00112233"},
		{"under another name", func(r *room) {
			h := record(1)
			h.UID = "edge-00112233"
			r.up.Put(h)
		}, true, "registered with Palette at 127.0.0.1"},
		{"in another project", func(r *room) {
			h := record(1)
			h.Project = "p-default"
			r.up.Put(h)
		}, true, "in project Default and not in edge"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoom(t)
			b, h := r.opened(t), r.host(1)
			r.clock.advance(10 * time.Minute)
			tc.put(r)
			got, err := r.Confirm(t.Context(), b, h)
			if err != nil || got.Receipt != nil || got.Again <= 0 || got.Away {
				t.Fatalf("%+v, %v", got, err)
			}
			text := got.Waits
			if tc.ask {
				text = got.Ask
			}
			if !strings.Contains(text, tc.says) || !strings.HasSuffix(text, ".") {
				t.Errorf("waits %q, asks %q; want %q", got.Waits, got.Ask, tc.says)
			}
		})
	}
}

func TestTheReceiptSaysWhatWasCompared(t *testing.T) {
	r := newRoom(t)
	b, h := r.opened(t), r.host(1)
	r.clock.advance(time.Minute)
	r.up.Put(record(1))
	got, err := r.Confirm(t.Context(), b, h)
	if err != nil || got.Receipt == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	want := "Palette at " + r.settings.Endpoint + " has it healthy in project edge with agent 4.9.7; MAC 52:54:00:00:00:01, memory of 7936 MiB, disk of 100 GB as verified"
	if got.Receipt.Proof != want || got.Receipt.ID != "plant-7-sn-0001" || !got.Receipt.At.Equal(r.clock.now()) {
		t.Errorf("%+v\nwant proof %s", got.Receipt, want)
	}
}

// TestClocksThatDifferMakeNoRecordOld: Palette's clock is compared with ours by
// what its answers say.
func TestClocksThatDifferMakeNoRecordOld(t *testing.T) {
	r := newRoom(t)
	r.clock.advance(-2 * time.Hour) // Palette's, and ours
	ahead := &clock{at: r.clock.now().Add(2 * time.Hour)}
	d, err := New(r.settings, Options{Now: ahead.now, Sleep: ahead.sleep})
	if err != nil {
		t.Fatal(err)
	}
	b, h := r.opened(t), r.host(1)
	h.Status.Attempt.Began = ahead.now()
	both := func(by time.Duration) { r.clock.advance(by); ahead.advance(by) }
	both(5 * time.Minute)
	r.up.Put(record(1))
	both(time.Minute)
	if got, err := d.Confirm(t.Context(), b, h); err != nil || got.Receipt == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestALostAnswerLeavesNoSecondToken(t *testing.T) {
	r := newRoom(t)
	r.up.Fail(palettetest.Faults{Forgetful: true})
	if _, err := r.Open(t.Context(), r.batch); provisioner.KindOf(err) != provisioner.Retry {
		t.Fatalf("the answer was lost: %v", err)
	}
	b := r.opened(t)
	if tokens := r.up.Tokens(); len(tokens) != 1 || !strings.Contains(string(b.State), tokens[0].Value) || tokens[0].Name != "muster-plant-7-0f1e2d3c-o1-1" {
		t.Errorf("tokens %+v", tokens)
	}
}

// TestAnOrderThatBringsItsTokenNeedsNoPaletteOnSite: hosts are staged without a
// WAN and register elsewhere; what could not be checked is as soon as it can.
func TestAnOrderThatBringsItsTokenNeedsNoPaletteOnSite(t *testing.T) {
	r := newRoom(t)
	made := r.up.PutToken(palettetest.Token{Name: "by hand", Project: "p-edge"})
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, made.Value)
	b, h := r.batch, r.host(1)
	h.Intent.Ship = true
	b.Hosts = []provisioner.Host{h}
	r.fail(handofftest.Away)
	if got := r.Check(t.Context(), b); len(got.Wrong) != 1 || !strings.Contains(got.Wrong[0], "name its file in handoff.token.file") {
		t.Errorf("without a token: %+v", got)
	}
	b.Options = map[string]any{"project": "edge", "token": map[string]any{"file": file}}
	got := r.Check(t.Context(), b)
	if notes := strings.Join(got.Notes, " "); len(got.Wrong) > 0 || !strings.Contains(notes, "as it is") || !strings.Contains(notes, "must still be valid then") {
		t.Errorf("with one: %+v", got)
	}
	opened, err := r.Open(t.Context(), b)
	if err != nil || !strings.Contains(string(opened.State), made.Value) {
		t.Fatalf("%v", err)
	}
	b.State = opened.State
	if again, err := r.Open(t.Context(), b); err != nil || string(again.State) != string(b.State) {
		t.Errorf("opened again it is another: %v", err)
	}
	carry, err := r.Prepare(t.Context(), b, h, "")
	if err != nil || !strings.Contains(carry.Note, "could not be asked") {
		t.Errorf("%+v, %v", carry, err)
	}

	r.fail("")
	r.clock.advance(time.Hour)
	proven, err := r.Open(t.Context(), b)
	if err != nil || !strings.Contains(proven.Note, made.UID) || !strings.Contains(string(proven.State), "p-edge") {
		t.Errorf("Palette is there again: %+v, %v", proven, err)
	}
	r.up.Put(record(1))
	if res, err := r.Confirm(t.Context(), b, h); err != nil || res.Receipt == nil {
		t.Errorf("%+v, %v", res, err)
	}
	write(t, file, "nonsense")
	if _, err := r.Open(t.Context(), b); provisioner.KindOf(err) != provisioner.Operator {
		t.Errorf("Palette does not know the token: %v", err)
	}
}

func TestLengthsOfTimeAreWrittenShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		72 * time.Hour: "72h", 90 * time.Minute: "1h30m", 50*time.Hour + 10*time.Minute: "50h10m", 10 * time.Second: "10s", time.Hour + 10*time.Second: "1h0m10s",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is written %s, want %s", d, got, want)
		}
	}
}

// TestNoOrderHasTheTokenOfAnother: one that is over would revoke what the other's
// hosts are given.
func TestNoOrderHasTheTokenOfAnother(t *testing.T) {
	for _, tc := range []struct {
		name   string
		second provisioner.OrderName
		server string
	}{
		{"equal orders of two musters without a site's name", "o1", "4b5a6978"},
		{"an order that is called like the second token of another", "o1-2", "0f1e2d3c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoom(t)
			r.settings.Site = ""
			first, b := r.again(t), r.batch
			b.Options = map[string]any{"project": "edge", "token": map[string]any{"valid": "48h"}}
			for range 2 { // the second when the first ends soon
				made, err := first.Open(t.Context(), b)
				if err != nil {
					t.Fatal(err)
				}
				b.State = made.State
				r.clock.advance(25 * time.Hour)
			}
			r.settings.Server = tc.server
			second, c := r.again(t), r.batch
			c.Order = tc.second
			made, err := second.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			c.State = made.State
			before := len(r.up.Tokens())
			if closed, err := second.Close(t.Context(), c); err != nil || before != 3 || len(r.up.Tokens()) != 2 {
				t.Errorf("%d tokens, and %d when the second order is over: %+v, %v", before, len(r.up.Tokens()), closed, err)
			}
		})
	}
}

func TestATokenThatEndsSoonIsFollowedByAnother(t *testing.T) {
	r := newRoom(t)
	r.batch.Options["token"] = map[string]any{"valid": "48h"}
	b := r.opened(t)
	r.clock.advance(23 * time.Hour)
	if same, err := r.Open(t.Context(), b); err != nil || string(same.State) != string(b.State) {
		t.Fatalf("it has 25 hours to go: %v", err)
	}
	r.clock.advance(2 * time.Hour)
	made, err := r.Open(t.Context(), b)
	if err != nil || string(made.State) == string(b.State) || len(r.up.Tokens()) != 2 {
		t.Fatalf("it has 23 hours to go: %v, tokens %+v", err, r.up.Tokens())
	}
	b.State = made.State
	closed, err := r.Close(t.Context(), b)
	if err != nil || closed.Done != "Revoked registration token t-0001, t-0002." || len(r.up.Tokens()) != 0 {
		t.Errorf("%+v, %v, tokens %+v", closed, err, r.up.Tokens())
	}
}

// TestTheLastHostThatShipsHasATokenForItsJourney: an order may run for as long as
// its token is valid, and the last of its hosts travels, too.
func TestTheLastHostThatShipsHasATokenForItsJourney(t *testing.T) {
	r := newRoom(t)
	r.batch.Options["token"] = map[string]any{"valid": "720h"}
	h := r.host(1)
	h.Intent.Ship = true
	r.batch.Hosts = []provisioner.Host{h}
	if got := r.Check(t.Context(), r.batch); !strings.Contains(strings.Join(got.Notes, " "), "each has at least 360h") {
		t.Errorf("%+v", got)
	}
	b := r.opened(t)
	r.clock.advance(359 * time.Hour)
	if same, err := r.Open(t.Context(), b); err != nil || string(same.State) != string(b.State) {
		t.Fatalf("it has 361 hours to go: %v", err)
	}
	r.clock.advance(2 * time.Hour)
	made, err := r.Open(t.Context(), b)
	if err != nil || string(made.State) == string(b.State) || len(r.up.Tokens()) != 2 {
		t.Errorf("it has 359 hours to go: %v, tokens %+v", err, r.up.Tokens())
	}
}

func TestAnOrderThatNamesAnotherProjectGetsATokenOfThat(t *testing.T) {
	r := newRoom(t)
	b := r.opened(t)
	b.Options = map[string]any{"project": "Default"}
	made, err := r.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	st, err := readState(made.State)
	if err != nil || st.Project != "p-default" || len(st.Tokens) != 2 {
		t.Fatalf("%+v, %v", st, err)
	}
	for _, token := range r.up.Tokens() {
		if token.UID == st.Tokens[1].UID && token.Project != "p-default" {
			t.Errorf("token %+v", token)
		}
	}
}

// TestAHostOfAClosedOrderIsLookedForWithinTheLimit: what the order kept is gone.
func TestAHostOfAClosedOrderIsLookedForWithinTheLimit(t *testing.T) {
	r := newRoom(t)
	h := r.host(1)
	r.clock.advance(time.Minute)
	before := r.up.Counts().Requests
	for range 20 {
		if got, err := r.Confirm(t.Context(), r.batch, h); err != nil || got.Waits == "" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if n := r.up.Counts().Requests - before; n > 4 {
		t.Errorf("%d requests for 20 looks at once", n)
	}
	r.up.Put(record(1))
	r.clock.advance(time.Minute)
	if got, err := r.Confirm(t.Context(), r.batch, h); err != nil || got.Receipt == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestATokenFromAFileIsCheckedAndLeftAlone(t *testing.T) {
	r := newRoom(t)
	made := r.up.PutToken(palettetest.Token{Name: "by hand", Project: "p-edge"})
	file := filepath.Join(t.TempDir(), "token")
	r.batch.Options["token"] = map[string]any{"file": file}
	for _, tc := range []struct{ content, want string }{
		{"nonsense", "is none that Palette at"}, {"", "one line with the registration token (handoff.token.file of the order)"}, {"a\nb", "one line with"},
	} {
		write(t, file, tc.content)
		if _, err := r.Open(t.Context(), r.batch); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %s", tc.content, err, tc.want)
		}
	}
	write(t, file, made.Value)
	b := r.opened(t)
	if len(r.up.Tokens()) != 1 {
		t.Errorf("tokens %+v", r.up.Tokens())
	}
	closed, err := r.Close(t.Context(), b)
	if err != nil || !strings.Contains(closed.Done, "left as it is") || len(r.up.Tokens()) != 1 {
		t.Errorf("%+v, %v", closed, err)
	}
}

func TestCheckSaysWhatToDoWhilePaletteIsAskedForAnotherOrder(t *testing.T) {
	r := newRoom(t)
	project, err := r.projectUID(t.Context(), "edge", 0)
	if err != nil {
		t.Fatal(err)
	}
	r.lookout.views[project] = &view{looking: true}
	if got := strings.Join(r.Check(t.Context(), r.batch).Wrong, " "); !strings.Contains(got, "again in a few seconds") {
		t.Errorf("it says %q", got)
	}
}

func TestCheckNamesAllThatWouldGoWrong(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(r *room)
		says string // in Wrong; empty: nothing is wrong
		note string
	}{
		{"all is well", func(*room) {}, "", "Image edge-4.9 has agent v4.9.7, which is Palette's."},
		{"no such project", func(r *room) { r.batch.Options["project"] = "lab" }, `has no project "lab"`, ""},
		{"wrong key", func(r *room) { r.up.SetKey("another") }, "takes the API key in", ""},
		{"no key file", func(r *room) { _ = os.Remove(r.settings.KeyFile) }, "The file with the API key (handoff.palette.api_key of the configuration file) cannot be read", ""},
		{"another agent", func(r *room) {
			r.batch.Images["d1"] = handoff.Image{Name: "edge-4.6", Version: map[string]string{"pe": "4.6.21"}}
		}, "Image edge-4.6 has agent 4.6.21, but 4.9.7 belongs to Palette", ""},
		{"another agent, and any is allowed", func(r *room) {
			r.batch.Images["d1"] = handoff.Image{Name: "edge-4.6", Version: map[string]string{"pe": "4.6.21"}}
			r.batch.Options["agent_version"] = "any"
		}, "", "the order takes any"},
		{"agent not known", func(r *room) { r.batch.Images["d1"] = handoff.Image{Name: "edge"} }, "", "is not known; Palette's is 4.9.7"},
		{"two hosts of one name", func(r *room) {
			h := r.host(2)
			h.Intent.Row.Serial = "sn-0001"
			r.batch.Hosts = append(r.batch.Hosts, h)
		}, "would both be the Edge host plant-7-sn-0001", ""},
		{"a record from before", func(r *room) { r.up.Put(record(1)) }, "has an Edge host plant-7-sn-0001 from before", ""},
		{"a record from before, which may go", func(r *room) {
			r.up.Put(record(1))
			r.batch.Options["replace_stale"] = "allowed"
		}, "", "it is deleted when host h-1 is installed"},
		{"a record in a cluster", func(r *room) {
			h := record(1)
			h.State = "in-use"
			r.up.Put(h)
			r.batch.Options["replace_stale"] = "allowed"
		}, "in a cluster", ""},
		{"a token that ends too soon", func(r *room) {
			made := r.up.PutToken(palettetest.Token{Name: "by hand", Expiry: r.clock.now().Add(time.Hour)})
			file := r.settings.KeyFile + ".token"
			_ = os.WriteFile(file, []byte(made.Value), 0o600)
			r.batch.Options["token"] = map[string]any{"file": file}
		}, "is switched off or ends 2026-05-04 10:00 UTC", ""},
		{"a wrong option", func(r *room) { r.batch.Options["projct"] = "x" }, "Handoff.projct: there is no such option.", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoom(t)
			r.batch.Images["d1"] = handoff.Image{Name: "edge-4.9", Version: map[string]string{"agent": "v4.9.7"}}
			h := r.host(1)
			h.Status.Phase = provisioner.Expected
			r.batch.Hosts = []provisioner.Host{h}
			tc.edit(r)
			got := r.Check(t.Context(), r.batch)
			wrong, notes := strings.Join(got.Wrong, "\n"), strings.Join(got.Notes, "\n")
			if (tc.says == "") != (wrong == "") || !strings.Contains(wrong, tc.says) || !strings.Contains(notes, tc.note) {
				t.Errorf("wrong: %s\nnotes: %s\nwant %q, %q", wrong, notes, tc.says, tc.note)
			}
			if len(r.up.Tokens()) > 0 && !strings.Contains(tc.name, "token") {
				t.Error("checking made a token")
			}
		})
	}
}

// TestWhatStandsInAHostsWayIsDeletedOnlyWhereAPersonAllowedIt: by the order, or
// by asking for the host to be installed anew.
func TestWhatStandsInAHostsWayIsDeletedOnlyWhereAPersonAllowedIt(t *testing.T) {
	for _, tc := range []struct {
		name    string
		edit    func(r *room, h *provisioner.Host)
		deleted bool
	}{
		{"nobody did", func(*room, *provisioner.Host) {}, false},
		{"the order does", func(r *room, _ *provisioner.Host) { r.batch.Options["replace_stale"] = "allowed" }, true},
		{"a person asked to install it anew", func(_ *room, h *provisioner.Host) { h.Status.Attempt.Erase = true }, true},
		{"it is in a cluster", func(r *room, h *provisioner.Host) {
			h.Status.Attempt.Erase = true
			r.up.Change("plant-7-sn-0001", func(h *palettetest.Host) { h.State = "in-use" })
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoom(t)
			r.up.Put(record(1))
			h := r.host(1)
			tc.edit(r, &h)
			carry, err := r.Prepare(t.Context(), r.opened(t), h, "")
			_, left := r.up.Host("plant-7-sn-0001")
			if left == tc.deleted || (err == nil) != tc.deleted {
				t.Fatalf("deleted %t, %v", !left, err)
			}
			if err != nil && provisioner.KindOf(err) != provisioner.Operator {
				t.Errorf("%v is for a person", err)
			}
			if tc.deleted && !strings.HasPrefix(carry.Note, "Deleted the Edge host plant-7-sn-0001") {
				t.Errorf("note %q", carry.Note)
			}
		})
	}
}

func TestAHostIsPreparedThoughPaletteIsAway(t *testing.T) {
	r := newRoom(t)
	b := r.opened(t)
	r.up.Fail(palettetest.Faults{Away: true})
	carry, err := r.Prepare(t.Context(), b, r.host(1), "")
	if err != nil || !strings.HasPrefix(carry.Note, "Palette could not be asked") || !strings.Contains(carry.Note, "has registration token t-0001") {
		t.Errorf("%q, %v", carry.Note, err)
	}
	if strings.Contains(carry.Note, r.up.Tokens()[0].Value) {
		t.Error("the journal would tell the token")
	}
}

// TestPaletteThatIsAwayIsNotAskedForEachHost: each that asks waits for as long as
// a lost packet takes.
func TestPaletteThatIsAwayIsNotAskedForEachHost(t *testing.T) {
	r := newRoom(t)
	r.up.Fail(palettetest.Faults{Status: 503})
	for range 20 {
		if _, err := r.Open(t.Context(), r.batch); provisioner.KindOf(err) != provisioner.Retry {
			t.Fatalf("it opens while Palette is away: %v", err)
		}
	}
	if n := r.up.Counts().Requests; n != 1 {
		t.Errorf("20 hosts asked %d times", n)
	}
	r.up.Fail(palettetest.Faults{})
	r.clock.advance(lookAgain)
	if _, err := r.Open(t.Context(), r.batch); err != nil {
		t.Errorf("it is there again: %v", err)
	}
}

func TestAPreviewAsksNobodyAndShowsNoToken(t *testing.T) {
	r := newRoom(t)
	b := r.opened(t)
	before := r.up.Counts().Requests
	b.State, b.Preview = nil, true
	carry, err := r.Prepare(t.Context(), b, r.host(1), "")
	if err != nil || r.up.Counts().Requests != before {
		t.Fatalf("%d requests, %v", r.up.Counts().Requests-before, err)
	}
	site := carry.Values["stylus"].(map[string]any)["site"].(map[string]any)
	if site["edgeHostToken"] != previewToken || len(carry.Hidden) != 1 {
		t.Errorf("site %v", site)
	}
}

// TestOneOddRecordIsNotAllOfThem: numbers in quotes are read, what cannot be is
// left out.
func TestOneOddRecordIsNotAllOfThem(t *testing.T) {
	r := newRoom(t)
	b, h := r.opened(t), r.host(1)
	r.clock.advance(time.Minute)
	odd, mine := record(2), record(1)
	odd.Device = map[string]any{"nics": "none", "memory": []any{}}
	mine.Device["memory"] = map[string]any{"sizeInMB": "7936"}
	r.up.Put(odd)
	r.up.Put(mine)
	got, err := r.Confirm(t.Context(), b, h)
	if err != nil || got.Receipt == nil || !strings.Contains(got.Receipt.Proof, "memory of 7936 MiB") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := r.Confirm(t.Context(), b, r.host(2)); err != nil || got.Receipt != nil || got.Ask != "" {
		t.Errorf("of what cannot be read: %+v, %v", got, err)
	}
}
