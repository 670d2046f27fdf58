package webhook

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

// ids are the events of a host, numbered from first to last.
func ids(host provisioner.HostID, first, last int) []string {
	var list []string
	for n := first; n <= last; n++ {
		list = append(list, fmt.Sprintf("%s-%d", host, n))
	}
	return list
}

// of are the events of a host among those that were taken, in their order.
func of(host provisioner.HostID, taken []string) []string {
	var list []string
	for _, id := range taken {
		if strings.HasPrefix(id, string(host)+"-") {
			list = append(list, id)
		}
	}
	return list
}

func TestWhatHappenedInTwoDaysWithoutWANIsDeliveredInOrderAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{})
		r := newReceiver(t)
		w := open(t, kv, r.dial, r.hook("cmdb"))
		synctest.Wait()
		w.moves("h-a", 2)
		time.Sleep(time.Second)
		r.cut(true)
		r.server.CloseClientConnections()
		const hours = 48
		for hour := range hours {
			w.moves("h-a", 1)
			w.moves(provisioner.HostID(fmt.Sprintf("h-%02d", hour%7)), 2)
			if hour == 24 { // a power cut in the middle
				w.stop()
				w = open(t, kv, r.dial, r.hook("cmdb"))
			}
			time.Sleep(time.Hour)
		}
		before := w.outbox.States()[0]
		if taken, _, _ := r.got(); len(taken) != 2 || before.Queued != hours*3 || !strings.Contains(before.Problem, "WAN is down") || before.Next.IsZero() {
			t.Errorf("without WAN %v were taken; %+v", taken, before)
		}
		r.cut(false)
		time.Sleep(2 * longPause)
		taken, again, _ := r.got()
		if diff := cmp.Diff(ids("h-a", 1, 2+hours), of("h-a", taken)); diff != "" {
			t.Errorf("events of h-a, -want +got:\n%s", diff)
		}
		for n := range 7 {
			host := provisioner.HostID(fmt.Sprintf("h-%02d", n))
			if got := of(host, taken); !slices.Equal(got, ids(host, 1, len(got))) || len(got) < 12 {
				t.Errorf("events of %s: %v", host, got)
			}
		}
		if len(taken) != 2+hours*3 || len(again) > 0 {
			t.Errorf("%d events were taken, %v more than once", len(taken), again)
		}
		if s := w.outbox.States()[0]; s.Queued != 0 || s.Problem != "" || s.LastID == "" {
			t.Errorf("afterwards it is %+v", s)
		}
		w.stop()
		r.server.Close()
		_ = kv.Close()
	})
}

func TestAServerKilledBeforeItsCursorRepeatsTheSameEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{})
		r := newReceiver(t)
		w := open(t, kv, r.dial, r.hook("cmdb"))
		synctest.Wait()
		w.stop()
		w.moves("h-a", 5)
		const third = 3
		w = open(t, &killing{Engine: kv, left: third}, r.dial, r.hook("cmdb"))
		time.Sleep(time.Minute)
		w.stop()
		if taken, again, _ := r.got(); len(taken) != third || len(again) != 0 {
			t.Fatalf("before it died %v were taken, %v again", taken, again)
		}
		w = open(t, kv, r.dial, r.hook("cmdb"))
		time.Sleep(time.Minute)
		w.stop()
		taken, again, _ := r.got()
		if diff := cmp.Diff(ids("h-a", 1, 5), taken); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff([]string{"h-a-3"}, again); diff != "" {
			t.Errorf("repeated, -want +got:\n%s", diff)
		}
		r.server.Close()
		_ = kv.Close()
	})
}

func TestASlowReceiverDelaysNeitherOthersNorCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{})
		slow, quick := newReceiver(t), newReceiver(t)
		slow.stuck = make(chan struct{})
		a := open(t, kv, slow.dial, slow.hook("slow"))
		b := open(t, kv, quick.dial, quick.hook("quick"))
		synctest.Wait()
		began := time.Now()
		for n := range 20 {
			a.moves(provisioner.HostID(fmt.Sprintf("h-%02d", n)), 3)
		}
		synctest.Wait()
		if taken, _, _ := quick.got(); len(taken) != 60 || time.Since(began) != 0 {
			t.Errorf("beside a slow one, after %s, it took %d of 60 events", time.Since(began), len(taken))
		}
		if _, _, tries := slow.got(); tries != lanes {
			t.Errorf("the slow one has %d requests at once, want %d", tries, lanes)
		}
		time.Sleep(time.Hour)
		close(slow.stuck)
		time.Sleep(2 * longPause)
		if taken, _, _ := slow.got(); len(taken) != 60 {
			t.Errorf("no more slow, it took %d of 60 events", len(taken))
		}
		a.stop()
		b.stop()
		slow.server.Close()
		quick.server.Close()
		_ = kv.Close()
	})
}

func TestOnlyTheHostWhoseEventIsRefusedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{})
		r := newReceiver(t)
		r.fail(func(id string) (int, http.Header) {
			if id == "h-a-2" {
				return http.StatusUnprocessableEntity, nil
			}
			return 0, nil
		})
		w := open(t, kv, r.dial, r.hook("cmdb"))
		synctest.Wait()
		w.moves("h-a", 3)
		w.moves("h-b", 3)
		time.Sleep(time.Minute)
		taken, _, _ := r.got()
		s := w.outbox.States()[0]
		if len(of("h-a", taken)) != 1 || len(of("h-b", taken)) != 3 || !strings.Contains(s.Problem, "refuses an event (422") || s.Queued != 2 {
			t.Errorf("taken %v; %+v", taken, s)
		}
		r.fail(nil)
		time.Sleep(2 * longRefusal)
		if taken, _, _ = r.got(); !slices.Equal(of("h-a", taken), ids("h-a", 1, 3)) || w.outbox.States()[0].Problem != "" {
			t.Errorf("mended: %v; %+v", taken, w.outbox.States()[0])
		}
		w.stop()
		r.server.Close()
		_ = kv.Close()
	})
}

func TestHowAReceiverIsTriedAgain(t *testing.T) {
	type answer = func(string) (int, http.Header)
	always := func(status int, header http.Header) answer {
		return func(string) (int, http.Header) { return status, header }
	}
	for _, tc := range []struct {
		name        string
		answer      answer
		least, most int // tries in an hour
		says        string
	}{
		{"overloaded", always(503, nil), 10, 30, "503 Service Unavailable"},
		{"asks for time", always(429, http.Header{"Retry-After": {"1200"}}), 3, 3, "429 Too Many Requests"},
		{"asks for time by a date", always(503, http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:30:00 GMT"}}), 2, 20, "503"},
		{"does not know the signature", always(401, nil), 10, 30, "compare the secret"},
		{"is not there", always(404, nil), 10, 30, "nothing takes events at that URL"},
		{"sends elsewhere", always(307, http.Header{"Location": {"https://example.com/other"}}), 10, 30, "a redirect is not followed"},
		{"wants no more", always(410, nil), 1, 1, "wants no more events"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kv := bolt(t, boltstore.Options{})
				r := newReceiver(t)
				r.fail(tc.answer)
				w := open(t, kv, r.dial, r.hook("cmdb"))
				synctest.Wait()
				w.moves("h-a", 3)
				time.Sleep(time.Hour)
				taken, _, tries := r.got()
				s := w.outbox.States()[0]
				if len(taken) > 0 || tries < tc.least || tries > tc.most || !strings.Contains(s.Problem, tc.says) || s.Queued != 3 {
					t.Errorf("%d tries, want %d to %d; %+v", tries, tc.least, tc.most, s)
				}
				if s.Stopped != (tc.name == "wants no more") || strings.Contains(fmt.Sprint(s), "hidden") {
					t.Errorf("got %+v", s)
				}
				w.stop()
				r.server.Close()
				_ = kv.Close()
			})
		})
	}
}

// TestNothingIsLostWhenHostsGo has hosts removed and absorbed while the receiver
// is away and the server restarts, and one more commit than the store keeps.
func TestNothingIsLostWhenHostsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{History: 8})
		r := newReceiver(t)
		w := open(t, kv, r.dial, r.hook("cmdb"))
		synctest.Wait()
		r.cut(true)
		w.moves("h-gone", 2)
		w.moves("h-port", 2)
		w.moves("h-whole", 2)
		ctx := t.Context()
		gone, err := w.store.Host(ctx, "h-gone")
		if err != nil {
			t.Fatal(err)
		}
		port, err := w.store.Host(ctx, "h-port")
		if err != nil {
			t.Fatal(err)
		}
		whole, err := w.store.Host(ctx, "h-whole")
		if err != nil {
			t.Fatal(err)
		}
		whole.Aliases = append(whole.Aliases, port.ID)
		for _, c := range []store.Change{
			{Delete: []provisioner.Host{gone}, Entries: []provisioner.Entry{{Host: gone.ID, Kind: provisioner.EntryIntent, Text: "Removed."}}},
			{Put: []provisioner.Host{whole}, Delete: []provisioner.Host{port}, Entries: []provisioner.Entry{{Host: whole.ID, Kind: provisioner.EntryFact, Text: "Joined."}}},
		} {
			if err := w.store.Commit(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		w.stop()
		w = open(t, kv, r.dial, r.hook("cmdb"))
		w.moves("h-busy", 50)
		r.cut(false)
		time.Sleep(2 * longPause)
		taken, again, _ := r.got()
		for host, last := range map[provisioner.HostID]int{"h-gone": 3, "h-port": 2, "h-whole": 3, "h-busy": 50} {
			if got := of(host, taken); !slices.Equal(got, ids(host, 1, last)) {
				t.Errorf("events of %s: %v, want %d", host, got, last)
			}
		}
		w.stop()
		w = open(t, kv, r.dial, r.hook("cmdb"))
		time.Sleep(time.Hour)
		if _, repeated, _ := r.got(); len(again)+len(repeated) > 0 {
			t.Errorf("told again: %v %v", again, repeated)
		}
		w.stop()
		r.server.Close()
		_ = kv.Close()
	})
}

// TestAHookBeginsInTheMiddleOfALongJournal has more entries on both sides of the
// beginning than are read at once, and a beginning in the middle of such a part.
func TestAHookBeginsInTheMiddleOfALongJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{})
		r := newReceiver(t)
		w := open(t, kv, r.dial)
		const before, since = 2*batch - 4, 2*batch + 10
		w.moves("h-a", before)
		w.stop()
		w = open(t, kv, r.dial, r.hook("cmdb"))
		synctest.Wait()
		r.cut(true)
		w.moves("h-a", since)
		r.cut(false)
		time.Sleep(2 * longPause)
		taken, again, _ := r.got()
		if diff := cmp.Diff(ids("h-a", before+1, before+since), taken); diff != "" || len(again) > 0 {
			t.Errorf("-want +got:\n%s\ntaken again: %v", diff, again)
		}
		w.stop()
		r.server.Close()
		_ = kv.Close()
	})
}

func TestAHookBeginsWhenItIsFirstConfiguredAndGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{})
		r := newReceiver(t)
		w := open(t, kv, r.dial)
		w.moves("h-a", 3)
		w.moves("h-old", 3)
		w.stop()
		w = open(t, kv, r.dial, r.hook("cmdb"))
		synctest.Wait()
		w.moves("h-a", 1)
		time.Sleep(time.Minute)
		w.stop()
		w = open(t, kv, r.dial) // it is taken out for a while
		w.moves("h-a", 1)
		w.stop()
		w = open(t, kv, r.dial, r.hook("cmdb"))
		time.Sleep(time.Minute)
		taken, _, _ := r.got()
		if diff := cmp.Diff(ids("h-a", 4, 5), taken); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if s := w.outbox.States()[0]; s.Queued != 0 {
			t.Errorf("nothing is left, and it says %+v", s)
		}
		w.stop()
		r.server.Close()
		_ = kv.Close()
	})
}

// TestAFullDiskStopsNoServer: whoever waits for the outbox's end would stop the
// boot plane with it.
func TestAFullDiskStopsNoServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := &full{Engine: bolt(t, boltstore.Options{}), left: 3}
		r := newReceiver(t)
		w := open(t, kv, r.dial, r.hook("cmdb"))
		synctest.Wait()
		if s := w.outbox.States()[0]; !strings.Contains(s.Problem, errFull.Error()) || s.Next.IsZero() {
			t.Errorf("with a full disk it says %+v", s)
		}
		time.Sleep(time.Hour)
		w.moves("h-a", 2)
		time.Sleep(time.Minute)
		taken, _, _ := r.got()
		if s := w.outbox.States()[0]; !slices.Equal(taken, ids("h-a", 1, 2)) || s.Problem != "" {
			t.Errorf("with room again it delivered %q: %+v", taken, s)
		}
		w.stop()
		r.server.Close()
		_ = kv.Close()
	})
}

func TestAHookIsToldWhatItWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := bolt(t, boltstore.Options{})
		r := newReceiver(t)
		w := open(t, kv, r.dial, r.hook("cmdb", "registered", "intent"))
		synctest.Wait()
		w.says("h-a", provisioner.EntryFact, provisioner.Registered)   // 1
		w.says("h-a", provisioner.EntryMove, provisioner.Installed)    // 2
		w.says("h-a", provisioner.EntryMove, provisioner.Registered)   // 3: wanted
		w.says("h-a", provisioner.EntryIntent, provisioner.Registered) // 4: wanted
		time.Sleep(time.Minute)
		taken, _, _ := r.got()
		if diff := cmp.Diff(ids("h-a", 3, 4), taken); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		e := r.events[0]
		if e["type"] != TypePrefix+"move" || e["source"] != "/muster/test" || e["subject"] != "h-a" || e["data"].(map[string]any)["entry"] == nil {
			t.Errorf("got %+v", e)
		}
		w.stop()
		r.server.Close()
		_ = kv.Close()
	})
}

// TestOpenSSLMakesTheSameSignature does what the guide says.
func TestOpenSSLMakesTheSameSignature(t *testing.T) {
	m := Message{ID: "h-a-1", Body: []byte(`{"specversion":"1.0"}`)}
	at := time.Unix(1_800_000_000, 0)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, m.Body, 0o600); err != nil {
		t.Fatal(err)
	}
	script := `{ printf '%s.%s.' "$id" "$at"; cat "$body"; } | openssl dgst -sha256 -hmac "$secret" -binary | base64`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Env = append(os.Environ(), "id="+m.ID, "at=1800000000", "body="+file, "secret="+secret)
	out, err := cmd.Output()
	if want := "v1," + strings.TrimSpace(string(out)); err != nil || m.Sign([]byte(secret), at) != want {
		t.Errorf("signed %s, openssl has %s, %v", m.Sign([]byte(secret), at), want, err)
	}
}

func TestReadSecret(t *testing.T) {
	for text, want := range map[string]string{
		"a text of twenty-four byte\n":                 "a text of twenty-four byte",
		"whsec_YSB0ZXh0IG9mIHR3ZW50eS1mb3VyIGJ5dGU=\n": "a text of twenty-four byte",
		"short\n":     "",
		"whsec_short": "",
		"whsec_not base64 not base64 not base64 not b6": "",
	} {
		got, err := ReadSecret([]byte(text))
		if string(got) != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "not base64 not") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
