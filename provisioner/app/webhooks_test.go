package app

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
	"github.com/muster-boot/muster/provisioner/webhook"
)

func TestAWebhookWithoutAGoodSecretDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", "0123456789abcdef0123456789abcdef\n")
	for name, c := range map[string]struct {
		hook config.Webhook
		want string
	}{
		"good":               {config.Webhook{SecretFile: good}, ""},
		"no file":            {config.Webhook{SecretFile: filepath.Join(dir, "none")}, "read its secret"},
		"short":              {config.Webhook{SecretFile: write("short", "hush\n")}, "make one with"},
		"no CA":              {config.Webhook{SecretFile: good, CAFile: filepath.Join(dir, "none")}, "read its ca_file"},
		"a CA that is no CA": {config.Webhook{SecretFile: good, CAFile: good}, "no certificate"},
	} {
		c.hook.Name, c.hook.URL = "cmdb", "https://cmdb.example.com/"
		_, err := newOutbox(config.Config{Webhooks: []config.Webhook{c.hook}}, nil, nil, zerolog.Nop())
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestAWebhookIsToldAHostAsTheAPIShowsIt has a receiver on a real socket.
func TestAWebhookIsToldAHostAsTheAPIShowsIt(t *testing.T) {
	type event struct {
		ID   string
		Data v1.HostEvent
	}
	told := make(chan event, 8)
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.Header.Get(webhook.HeaderSignature) == "" {
			t.Errorf("%v: %v", r.Header, err)
		}
		told <- e
	}))
	defer receiver.Close()
	dir := t.TempDir()
	hook := config.Webhook{Name: "cmdb", URL: receiver.URL, SecretFile: filepath.Join(dir, "secret"), CAFile: filepath.Join(dir, "ca.pem")}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})
	if err := errors.Join(os.WriteFile(hook.SecretFile, []byte("0123456789abcdef0123456789abcdef\n"), 0o600), os.WriteFile(hook.CAFile, ca, 0o600)); err != nil {
		t.Fatal(err)
	}
	kv, err := boltstore.Open(t.Context(), filepath.Join(dir, "store"), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	st := store.New(kv, time.Now)
	mirror := store.NewMirror(st)
	out, err := newOutbox(config.Config{Site: config.Site{Name: "plant 7"}, Webhooks: []config.Webhook{hook}}, st, mirror, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { return mirror.Run(ctx) })
	<-mirror.Ready()
	if _, err := st.Deliveries(ctx, hook.Name); err != nil { // as after a first start
		t.Fatal(err)
	}
	g.Go(func() error { return out.Run(ctx) })
	h := provisioner.Host{ID: "h-1", Status: provisioner.Status{Phase: provisioner.Shipped, Why: "Ready for shipment.", Key: "hidden"}}
	h.Intent.Row.Name = "line-1"
	if err := st.Commit(ctx, store.Change{Put: []provisioner.Host{h}, Entries: []provisioner.Entry{{Host: "h-1", Kind: provisioner.EntryMove, Phase: provisioner.Shipped, Text: "x"}}}); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-told:
		if e.ID != "h-1-1" || e.Data.Host == nil || e.Data.Host.Name != "line-1" || e.Data.Host.Phase != "shipped" || e.Data.Entry.Seq != 1 {
			t.Errorf("told %+v", e)
		}
	case <-time.After(time.Minute):
		t.Fatalf("nothing was told: %+v", webhookShapes(out.States()))
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// TestTheGuidesMappingToNetBox runs the sample's jq over an event.
func TestTheGuidesMappingToNetBox(t *testing.T) {
	h := provisioner.Host{ID: "h-1"}
	h.Intent.Order, h.Intent.Row.Name, h.Intent.Image = "plant7", "line-1", "5e7"
	h.Status.Phase, h.Status.Why = provisioner.Shipped, "Ready for shipment."
	h.Facts.Report = &provisioner.Report{Report: inventory.Report{
		System: inventory.System{Serial: "SN-1"}, CPUs: []inventory.CPU{{Model: "Example CPU"}},
		Disks: []inventory.Disk{{Name: "nvme0n1", Model: "Example Disk", Serial: "D-1", Size: 100_000_000_000}},
		NICs:  []inventory.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", SpeedMbps: 10000}},
	}}
	shape := api.HostShape(h)
	entry := provisioner.Entry{Host: "h-1", Seq: 9, At: time.Now(), Kind: provisioner.EntryMove, Phase: provisioner.Shipped, Text: "installed -> shipped"}
	event, err := json.Marshal(map[string]any{"id": "h-1-9", "data": v1.HostEvent{Host: &shape, Entry: api.EntryShape(entry)}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "jq", "-S", "-c", "--argjson", "ids", `{"site":1,"role":2,"device_type":3}`, "-f", "../../docs/guide/samples/netbox.jq")
	cmd.Stdin = strings.NewReader(string(event))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"name":"line-1"`, `"serial":"SN-1"`, `"status":"inventory"`, `"device_type":3`, `"muster_phase":"shipped"`, `"muster_image":"5e7"`,
		`{"enabled":true,"mac_address":"52:54:00:00:00:01","name":"eth0","speed":10000000,"type":"other"}`,
		`{"description":"disk of 100 GB","discovered":true,"name":"nvme0n1","part_id":"Example Disk","serial":"D-1"}`, `"part_id":"Example CPU"`,
		`"comments":"h-1-9: installed -> shipped"`, `"kind":"success"`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
}
