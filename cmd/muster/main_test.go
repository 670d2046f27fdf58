package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/apitest"
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
		},
	})
}

type siteKey struct{}

// serve starts the server of one script.
func serve(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "muster-cli-") // a script's own directory makes too long a socket path
	if err != nil {
		return err
	}
	site, err := apitest.Start(dir, func(*api.Options) {})
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
