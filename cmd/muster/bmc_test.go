package main

import (
	"context"
	"net/url"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muster-boot/muster/redfish/bmctest"
)

// startBMC is "bmc PERSONALITY": it starts an emulated BMC and sets BMC to its
// URL and BMCPORT to its port; the file password holds its password.
func startBMC(ts *testscript.TestScript, _ bool, args []string) {
	p, err := bmctest.Named(args[0])
	ts.Check(err)
	host := bmctest.NewPaper(bmctest.PaperOptions{Identity: p.Identity(1)})
	e, err := bmctest.Start(bmctest.Options{Personality: p, Machine: host})
	ts.Check(err)
	ts.Defer(func() {
		ts.Check(e.Close())
		ts.Check(host.PowerOff(context.Background()))
	})
	u, err := url.Parse(e.HTTPS())
	ts.Check(err)
	ts.Setenv("BMC", e.HTTPS())
	ts.Setenv("BMCPORT", u.Port())
	ts.Check(os.WriteFile(ts.MkAbs("password"), []byte(e.Password()+"\n"), 0o600))
}
