package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func input() Input {
	h := provisioner.Host{ID: "h-1", Aliases: []provisioner.HostID{"h-0"}, Created: noon}
	h.Intent = provisioner.Intent{Order: "o1", Handoff: "callhome", Ship: true, Image: "5e7",
		Row: provisioner.Row{Serial: "SN-1", MACs: []string{"52:54:00:00:00:01"}, Name: "edge-1"},
		BMC: &provisioner.Controller{Address: "192.0.2.9", User: "root", Password: []byte("sealed-password")}}
	h.Status = provisioner.Status{Phase: provisioner.Installed, Since: noon, Why: "Text with <, > & \u00e9.", Key: "secret-key",
		Attempt: provisioner.Attempt{ID: "a-2", Phase: provisioner.Installing, Token: "secret-token", Disk: "/dev/disk/by-id/d"}}
	h.Facts.Sighting = &provisioner.Sighting{MACs: []string{"52:54:00:00:00:01", "52:54:00:00:00:02"}}
	h.Facts.Report = &provisioner.Report{Attempt: "a-1", Report: inventory.Report{System: inventory.System{UUID: "u-1"}, Memory: 8 << 30}}
	h.Facts.Prepared = &provisioner.Prepared{Attempt: "a-2", At: noon, Way: provisioner.WayNetboot}
	h.Facts.BMC = &provisioner.BMC{Vendor: "Example", Working: json.RawMessage(`{"session":"secret-session"}`)}
	h.Facts.Departure = &provisioner.Departure{Attempt: "a-2", At: noon, By: provisioner.SignSilence, Proof: "Nothing was heard."}
	entry := func(seq uint64, a provisioner.AttemptID, p provisioner.Phase) provisioner.Entry {
		return provisioner.Entry{Host: "h-1", Seq: seq, At: noon.Add(time.Duration(seq) * time.Minute), Attempt: a, Phase: p, Text: "x"}
	}
	return Input{
		Made: noon, Muster: "v1", Site: "plant7", Host: h,
		Order: provisioner.Order{Name: "o1", Secrets: map[string]provisioner.Secret{"k": "secret-order"}, Template: "secret-template"},
		Given: []Document{{Name: "config", Content: "token: ********\n"}},
		Journal: []provisioner.Entry{entry(1, "", provisioner.Expected), entry(2, "a-1", provisioner.Discovered),
			entry(3, "a-1", provisioner.Ready), entry(4, "a-2", provisioner.Installing), entry(5, "a-2", provisioner.Installed)},
	}
}

func signer(t *testing.T) Key {
	t.Helper()
	k, err := OpenKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestARecordHasItsHostsWholeWayAndNoSecret(t *testing.T) {
	r := Build(input())
	want := []Attempt{
		{ID: "a-1", Phase: provisioner.Discovered, Began: noon.Add(2 * time.Minute), Last: noon.Add(3 * time.Minute), End: provisioner.Ready},
		{ID: "a-2", Phase: provisioner.Installing, Began: noon.Add(4 * time.Minute), Last: noon.Add(5 * time.Minute), End: provisioner.Installed},
	}
	if diff := cmp.Diff(want, r.Attempts); diff != "" {
		t.Errorf("attempts, -want +got:\n%s", diff)
	}
	if r.Host.Serial != "SN-1" || r.Host.UUID != "u-1" || len(r.Host.MACs) != 2 || r.Given == nil || r.Departure == nil || r.BMC.Address != "192.0.2.9" || len(r.Journal) != 5 {
		t.Errorf("got %+v", r)
	}
	text, err := signer(t).Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret-", "sealed-password"} {
		if i := bytes.Index(text, []byte(secret)); i >= 0 {
			t.Errorf("the record tells a secret: ...%s", text[max(0, i-40):i+20])
		}
	}
	for _, list := range []string{"findings", "images", "attempts", "steps", "writes", "errands", "journal", "aliases", "macs", "documents"} {
		if strings.Contains(string(text), `"`+list+`": null`) {
			t.Errorf("%s is null, not an empty list", list)
		}
	}
}

// TestARecordHasNoPlaceForASecret walks its types.
func TestARecordHasNoPlaceForASecret(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		switch typ {
		case reflect.TypeFor[provisioner.Secret](), reflect.TypeFor[provisioner.Controller](), reflect.TypeFor[provisioner.Attempt]():
			t.Errorf("%s is a %s", path, typ)
		}
		if seen[typ] || typ == reflect.TypeFor[time.Time]() {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
			walk(path, typ.Elem())
		case reflect.Struct:
			for i := range typ.NumField() {
				walk(path+"."+typ.Field(i).Name, typ.Field(i).Type)
			}
		}
	}
	walk("Record", reflect.TypeFor[Record]())
	if len(seen) < 20 {
		t.Errorf("the walk saw %d types only", len(seen))
	}
}

func TestASignatureHoldsUntilAByteIsChanged(t *testing.T) {
	k := signer(t)
	text, err := k.Sign(Build(input()))
	if err != nil {
		t.Fatal(err)
	}
	r, key, err := Check(text)
	if err != nil || key != k.Public() || r.Host.ID != "h-1" {
		t.Fatalf("%v, %+v", err, r.Host)
	}
	var compacted bytes.Buffer
	if err := json.Compact(&compacted, text); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Check(compacted.Bytes()); err != nil {
		t.Errorf("without white space it does not hold: %v", err)
	}
	for name, forged := range map[string][]byte{
		"changed":     bytes.Replace(text, []byte("SN-1"), []byte("SN-2"), 1),
		"unsigned":    bytes.Replace(text, []byte(`"Ed25519"`), []byte(`"none"`), 1),
		"cut short":   text[:len(text)/2],
		"other JSON":  []byte(`{"a": 1}`),
		"another key": resigned(t, text),
	} {
		if _, key, err := Check(forged); err == nil && key == k.Public() {
			t.Errorf("%s: it holds", name)
		}
	}
}

// resigned has another muster's key with this one's signature.
func resigned(t *testing.T, text []byte) []byte {
	var s Signed
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	s.Signature.Key = signer(t).Public()
	forged, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return forged
}

// TestOpenSSLAndJQCheckARecord does what the guide says.
func TestOpenSSLAndJQCheckARecord(t *testing.T) {
	text, err := signer(t).Sign(Build(input()))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "r.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	script := `set -e; cd ` + dir + `
jq -cj .record r.json >record
jq -r .signature.key r.json >key.pem
jq -r .signature.value r.json | base64 -d >signature
openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in record -sigfile signature`
	if out, err := exec.CommandContext(t.Context(), "bash", "-c", script).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAKeyIsMadeOnceAndADamagedOneIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := OpenKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenKey(path)
	if err != nil || again.Public() != first.Public() || again.Mark() != first.Mark() {
		t.Errorf("opened again it is another: %v", err)
	}
	if other := signer(t).Mark(); other == first.Mark() || len(other) != 8 {
		t.Errorf("another's mark is %q, and this one's %q", other, first.Mark())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString([]byte("x"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(path); err == nil || !strings.Contains(err.Error(), "put back") {
		t.Errorf("got %v", err)
	}
}

func TestAShelfKeepsWholeRecordsAndKnowsThemAgain(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenShelf(dir, signer(t))
	if err != nil {
		t.Fatal(err)
	}
	var name, digest string
	for n := range 2 { // the second over the first
		if name, digest, err = s.Put("h-1", "a-1", fmt.Appendf(nil, "record %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := s.Get(name, digest); err != nil || string(text) != "record 1" || name != "records/h-1.a-1.json" {
		t.Errorf("%s: %q, %v", name, text, err)
	}
	if files, err := os.ReadDir(filepath.Join(dir, "records")); err != nil || len(files) != 2 {
		t.Errorf("%v, %v: want the record and the key", files, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("record 2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{name, "records/h-2.a-1.json"} {
		if _, err := s.Get(name, digest); provisioner.KindOf(err) != provisioner.NotFound || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAHostThatShipsAgainKeepsItsFirstRecord: what was proven once is not
// written over by what comes later.
func TestAHostThatShipsAgainKeepsItsFirstRecord(t *testing.T) {
	s, err := OpenShelf(t.TempDir(), signer(t))
	if err != nil {
		t.Fatal(err)
	}
	type kept struct{ name, digest, text string }
	var all []kept
	for _, a := range []provisioner.AttemptID{"a-1", "a-2"} {
		k := kept{text: "record of " + string(a)}
		if k.name, k.digest, err = s.Put("h-1", a, []byte(k.text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	for _, k := range all {
		if text, err := s.Get(k.name, k.digest); err != nil || string(text) != k.text {
			t.Errorf("%s: %q, %v", k.name, text, err)
		}
	}
}
