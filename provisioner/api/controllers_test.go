package api_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

const withBMCs = "name,serial,bmc_address,bmc_user,bmc_password,bmc_driver,address,gateway\n" +
	"alpha,S1,10.0.0.1,root,hunter2,,192.0.2.10/24,192.0.2.1\n" +
	"beta,S2,10.0.0.2,ADMIN,correct horse,ipmi,,\n"

// stored is a host as it lies in the store.
func (s *site) stored(ref string) provisioner.Host {
	s.t.Helper()
	shape, err := s.Host(s.t.Context(), ref)
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := s.Store.Host(s.t.Context(), provisioner.HostID(shape.ID))
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// password is what a host's sealed one opens to; empty where it has none.
func (s *site) password(ref string) string {
	s.t.Helper()
	c := s.stored(ref).Intent.BMC
	if c == nil || len(c.Password) == 0 {
		return ""
	}
	plain, err := s.Box.Open(c.Password, c.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(plain)
}

func TestAnImportSaysHowBMCsAreEntered(t *testing.T) {
	s := newSite(t)
	report := s.imports(withBMCs)
	if len(report.Warnings) != 0 {
		t.Errorf("warnings %v", report.Warnings)
	}
	h := s.stored("alpha")
	if bytes.Contains(h.Intent.BMC.Password, []byte("hunter2")) || s.password("alpha") != "hunter2" || s.password("beta") != "correct horse" {
		t.Errorf("the password is kept as %q", h.Intent.BMC.Password)
	}
	if diff := cmp.Diff(provisioner.Static{Address: "192.0.2.10/24", Gateway: "192.0.2.1"}, h.Intent.Row.Static); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	shape, err := s.Host(t.Context(), "beta")
	want := &v1.BMC{Driver: "ipmi", Address: "10.0.0.2", User: "ADMIN", Abilities: []string{}, Cannot: []string{}}
	if diff := cmp.Diff(want, shape.BMC); diff != "" || err != nil || shape.Static != nil {
		t.Errorf("%v, static %v, -want +got:\n%s", err, shape.Static, diff)
	}
}

func TestTheSamePasswordAgainIsNoChangeAndAnotherOneIs(t *testing.T) {
	s := newSite(t)
	first := s.imports(withBMCs)
	if again := s.imports(withBMCs); len(again.Changed)+len(again.Added) != 0 {
		t.Errorf("the same again: %+v", again)
	}
	s.edit(first.Added[0], func(h *provisioner.Host) {
		h.Facts.Errands = []provisioner.Errand{{Do: provisioner.ErrandSurvey, Problem: "The password is wrong.", Final: true}}
	})
	changed := s.imports(strings.Replace(withBMCs, "hunter2", "hunter3", 1))
	if diff := cmp.Diff(first.Added[:1], changed.Changed); diff != "" || s.password("alpha") != "hunter3" {
		t.Errorf("%q, -want +got:\n%s", s.password("alpha"), diff)
	}
	if e := s.stored("alpha").Facts.Errands; len(e) != 1 || !e[0].Final {
		t.Errorf("an import speaks for the BMC: %+v", e)
	}
}

func TestAPasswordStaysWithItsAccountWhenTheManifestNoLongerSaysIt(t *testing.T) {
	const head = "serial,bmc_address,bmc_mac,bmc_user\n"
	for _, c := range []struct{ name, row, want string }{
		{"the same account", "S1,10.0.0.1,,root", "hunter2"},
		{"no account is said", "S1,10.0.0.1,,", "hunter2"},
		{"a MAC is added", "S1,10.0.0.1,525400000009,root", "hunter2"},
		{"another account", "S1,10.0.0.1,,admin", ""},
		{"another BMC", "S1,10.0.0.9,,root", ""},
	} {
		s := newSite(t)
		s.imports("serial,bmc_address,bmc_user,bmc_password\nS1,10.0.0.1,root,hunter2\n")
		report := s.imports(head + c.row + "\n")
		if got := s.password("S1"); got != c.want {
			t.Errorf("%s: the password is %q, want %q", c.name, got, c.want)
		}
		if warned := len(report.Warnings) > 0; warned != (c.want == "") {
			t.Errorf("%s: warnings %v", c.name, report.Warnings)
		}
	}
}

func TestABMCThatAPersonAddedIsNotTakenAwayByAManifestWithoutIt(t *testing.T) {
	s := newSite(t)
	ids := s.imports("name,serial,bmc_address\nalpha,S1,10.0.0.1\nbeta,S2,\n").Added
	for _, id := range ids {
		s.edit(id, func(h *provisioner.Host) {
			h.Intent.BMC = &provisioner.Controller{Address: "10.0.0.1", Driver: "ipmi", Added: id == ids[1]}
		})
	}
	s.edit(ids[1], func(h *provisioner.Host) { h.Intent.BMC.Address = "10.0.0.2" })
	s.imports("name,serial\nalpha,S1\nbeta,S2\n")
	if c := s.stored("alpha").Intent.BMC; c != nil {
		t.Errorf("alpha keeps %+v", c)
	}
	if c := s.stored("beta").Intent.BMC; c == nil || c.Address != "10.0.0.2" || c.Driver != "ipmi" {
		t.Errorf("beta has %+v", c)
	}
}

func TestAHostIsFoundByItsBMC(t *testing.T) {
	s := newSite(t)
	first := s.imports("name,bmc_address,bmc_mac\nalpha,10.0.0.1,\nbeta,,525400000002\n")
	again := s.imports("name,serial,bmc_address,bmc_mac\nalpha,S1,10.0.0.1,\nbeta,,10.0.0.2,525400000002\n")
	if diff := cmp.Diff(first.Added, again.Changed); diff != "" || len(again.Added)+len(again.Removed) != 0 {
		t.Errorf("%+v, -want +got:\n%s", again, diff)
	}
	_, err := s.Import(t.Context(), v1.Import{Order: strings.Replace(order, "plant7", "plant8", 1), Manifest: "bmc_mac\n525400000002\n"})
	refused(t, err, 422, "of order plant7 is this one already")
	s.imports("name,serial,bmc_address\nalpha,S1,10.0.0.2\nbeta,S2,10.0.0.1\n") // crossed lines, now straight
}

func TestNoTwoHostsHaveOneBMC(t *testing.T) {
	s := newSite(t)
	ids := s.imports("serial,bmc_address\nS1,10.0.0.1\nS2,10.0.0.2\n").Added
	s.edit(ids[0], func(h *provisioner.Host) { h.Facts.BMC = &provisioner.BMC{} })
	_, err := s.Import(t.Context(), v1.Import{Order: order, Manifest: "serial,bmc_address\nS2,10.0.0.1\n"})
	refused(t, err, 422, "manifest line 2: its BMC is that of host "+ids[0])
	s.put(provisioner.Host{ID: "h-x", Intent: provisioner.Intent{BMC: &provisioner.Controller{MAC: "52:54:00:00:00:09"}}})
	_, err = s.Import(t.Context(), v1.Import{Order: order, Manifest: "serial,bmc_mac\nS1,\nS2,\nS3,525400000009\n"})
	refused(t, err, 422, "manifest line 4: its BMC is that of host h-x")
	s.put(provisioner.Host{ID: "h-y", Intent: provisioner.Intent{BMC: &provisioner.Controller{Address: "10.0.0.7", System: "1"}}})
	s.imports("serial,bmc_address,bmc_system\nS1,10.0.0.1,\nS2,10.0.0.7,2\n")
}

func TestThePasswordOfAnOrderComesInAFile(t *testing.T) {
	s := newSite(t)
	const filed = order + "bmc: {user: root, password_file: bmc.password}\n"
	in := v1.Import{Order: filed, Manifest: "serial,bmc_address,bmc_user\nS1,10.0.0.1,\nS2,10.0.0.2,admin\n", BMCPassword: "hunter2\n"}
	report, err := s.Import(t.Context(), in)
	if err != nil || s.password("S1") != "hunter2" || s.password("S2") != "" {
		t.Fatalf("S1 has %q, S2 %q: %v", s.password("S1"), s.password("S2"), err)
	}
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0].Text, "no password for the BMCs in lines 3: ") {
		t.Errorf("warnings %v", report.Warnings)
	}
	in.BMCPassword = "\n"
	_, err = s.Import(t.Context(), in)
	refused(t, err, 422, "order line 5: bmc.password_file: nothing is in that file")
}

func TestNoPasswordOfABMCLeavesByTheAPI(t *testing.T) {
	s := newSite(t)
	report := s.imports(withBMCs)
	s.imports(strings.Replace(withBMCs, "correct horse", "hunter2", 1)) // two hosts share one now
	again := s.imports(withBMCs)
	hosts, errHosts := s.Hosts(t.Context(), "", "")
	journal, errJournal := s.Journal(t.Context(), "beta", "")
	lint, errLint := s.Lint(t.Context(), v1.Import{Order: order, Manifest: withBMCs})
	told, err := json.Marshal([]any{report, again, hosts, journal, lint})
	if err != nil || errHosts != nil || errJournal != nil || errLint != nil {
		t.Fatal(err, errHosts, errJournal, errLint)
	}
	for _, ref := range []string{"alpha", "beta"} {
		sealed, err := json.Marshal(s.stored(ref).Intent.BMC.Password)
		if err != nil || bytes.Contains(told, bytes.Trim(sealed, `"`)) {
			t.Errorf("the sealed password of %s is told: %v", ref, err)
		}
	}
	for _, secret := range []string{"hunter2", "correct horse"} {
		if bytes.Contains(told, []byte(secret)) {
			t.Errorf("%s is told:\n%s", secret, told)
		}
	}
}

func TestAddressesThatCannotWorkAreSaid(t *testing.T) {
	s := newSite(t, func(o *api.Options) {
		o.Site = api.Site{Own: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.0.0.1")}}
	})
	report := s.imports("serial,mac,bmc_address,bmc_mac,bmc_user,bmc_password,address\n" +
		"S1,525400000001,10.0.0.1:8443,,root,x,\nS2,525400000002,,5254000000b2,root,x,\nS3,525400000003,,,,,192.0.2.1/24\nS4,525400000004,10.0.0.4,5254000000b4,root,x,192.0.2.4/24\n")
	var got []string
	for _, w := range report.Warnings {
		got = append(got, w.String())
	}
	want := []string{
		"manifest line 2: 10.0.0.1 is muster's own address, and that of the BMC in this row: one of them must change",
		"manifest line 4: 192.0.2.1 is muster's own address, and that of the host in this row: one of them must change",
		"manifest: no address for the BMCs in lines 3, and no network of muster's is dhcp: full: give a column bmc_address",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
