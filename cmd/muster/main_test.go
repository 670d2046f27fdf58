package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/apitest"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/app"
	"github.com/muster-boot/muster/provisioner/bmc"
	"github.com/muster-boot/muster/provisioner/evidence"
	"github.com/muster-boot/muster/provisioner/store"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"muster": main})
}

// TestScripts runs the built command line as people do, each script against a
// server of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               serve,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"host":  putHost,
			"exits": exits,
			"bmc":   startBMC,
		},
	})
}

// shop gives alpha the same whatever its image, and others nothing.
type shop struct{}

func (shop) Try(o provisioner.Order, _ provisioner.Intent) (string, error) {
	if strings.Contains(o.Template, "WRONG") {
		return "", errors.New("template: there is no value WRONG")
	}
	return "", nil
}

func (shop) Preview(_ context.Context, h provisioner.Host) (v1.Preview, error) {
	return v1.Preview{
		Host: string(h.ID), Way: "netboot", Notes: []string{"No install attempt has begun."}, Kernel: "http://192.0.2.1:8067/k", Cmdline: "config_url=http://192.0.2.1:8067/a/a-1/********/config",
		Documents: []v1.PreviewDocument{{Name: "config", Type: "text/cloud-config", Content: "#cloud-config\n\tpassword: ********\n"}},
		Medium:    []v1.PreviewChange{{Path: "/zz.yaml", Content: "x"}, {Args: []string{"install-mode"}}},
	}, nil
}

func (shop) Medium(_ context.Context, h provisioner.Host) (v1.Medium, error) {
	if h.Intent.Row.Name != "alpha" {
		return v1.Medium{}, &provisioner.Fault{Kind: provisioner.Conflict, Err: fmt.Errorf("host %s has no ISO of its own", h.Intent.Row.Name)}
	}
	return v1.Medium{
		URL: "http://192.0.2.1:8067/m/a-1-token.iso", Attempt: "a-1", Way: "media", Say: "Put it into a drive.",
		Readers: []v1.Reader{{Address: "10.0.0.9", Bytes: 4_200_000, First: h.Created, Last: h.Created}},
	}, nil
}

// askedDHCP are two BMCs that no host lists.
func askedDHCP() []v1.FoundBMC {
	return []v1.FoundBMC{
		{Source: v1.FoundByDHCP, MAC: "52:54:00:00:00:d1", Address: "192.0.2.77", Class: "iDRAC", Vendor: "Dell", Kind: "iDRAC"},
		{Source: v1.FoundByDHCP, MAC: "52:54:00:00:00:d2", Class: "CPQRIB3", Vendor: "HPE", Kind: "iLO"},
	}
}

// Report signs with a key of its own.
func (shop) Report(_ context.Context, h provisioner.Host) ([]byte, error) {
	dir, err := os.MkdirTemp("", "muster-cli-key-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	k, err := evidence.OpenKey(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	return k.Sign(evidence.Build(evidence.Input{Muster: "v0-test", Host: h}))
}

// told are two webhooks, one of which cannot deliver.
func told() []v1.Webhook {
	at := time.Now().Add(-10 * time.Minute)
	return []v1.Webhook{
		{Name: "cmdb", URL: "https://cmdb.example/hook", Events: []string{"move", "intent"}, State: "ok", Delivered: 3, LastID: "h-1-3", Last: &at},
		{Name: "tickets", URL: "https://tickets.example/", Events: []string{}, State: "retrying", Queued: 7, Problem: "The receiver answered 503 Service Unavailable. It is tried again.", Since: &at},
	}
}

type siteKey struct{}

// serve starts the server of one script.
func serve(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "muster-cli-") // a script's own directory makes too long a socket path
	if err != nil {
		return err
	}
	site, err := apitest.Start(dir, func(o *api.Options) {
		o.Installer, o.Strangers, o.Reporter, o.Webhooks = shop{}, askedDHCP, shop{}, told
		o.Controllers = app.Controllers{Controller: bmc.New(bmc.Options{Secrets: o.Sealer})}
	})
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := site.Close(); err != nil {
			env.T().Log(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			env.T().Log(err)
		}
	})
	site.Shelf.Web = map[string]string{"https://mirror.example/pub/noble.iso?x=1": "content.\n"}
	site.Shelf.Damaged = []string{"scratched"}
	env.Values[siteKey{}] = site
	env.Setenv("MUSTER_SERVER", site.Socket)
	env.Setenv("NOBODY", filepath.Join(dir, "nobody.sock"))
	return nil
}

// putHost is "host FILE": it writes a host as the engine would. One that has the
// same id or serial keeps what people want of it.
func putHost(ts *testscript.TestScript, _ bool, args []string) {
	site := ts.Value(siteKey{}).(*apitest.Site)
	var host provisioner.Host
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &host))
	hosts, err := site.Store.Hosts(context.Background())
	ts.Check(err)
	for _, h := range hosts {
		if h.ID == host.ID || h.Intent.Row.Serial == host.Intent.Row.Serial {
			h.Status, h.Facts = host.Status, host.Facts
			host = h
		}
	}
	ts.Check(site.Store.Commit(context.Background(), store.Change{
		Put:     []provisioner.Host{host},
		Entries: []provisioner.Entry{{Host: host.ID, Kind: provisioner.EntryMove, Phase: host.Status.Phase, Text: host.Status.Why, By: "engine"}},
	}))
}

// exits is "exits CODE COMMAND...": it runs a command and wants that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
