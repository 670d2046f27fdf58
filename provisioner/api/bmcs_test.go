package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func TestWhatIsLeftOutOfABMCStaysAsItIs(t *testing.T) {
	s := newSite(t)
	s.imports("name,serial,bmc_address\nalpha,S1,10.0.0.1\n")
	for _, step := range []struct {
		name     string
		say      v1.NewBMC
		want     provisioner.Controller
		password string
	}{
		{"the account", v1.NewBMC{User: "root", Password: "hunter2"}, provisioner.Controller{Address: "10.0.0.1", User: "root", Added: true}, "hunter2"},
		{"another address", v1.NewBMC{Address: "HTTPS://10.0.0.2:8443/"}, provisioner.Controller{Address: "10.0.0.2:8443", User: "root", Added: true}, "hunter2"},
		{"its MAC", v1.NewBMC{MAC: "5254.0000.00b1"}, provisioner.Controller{Address: "10.0.0.2:8443", MAC: "52:54:00:00:00:b1", User: "root", Added: true}, "hunter2"},
		{"a new password", v1.NewBMC{Password: "hunter3", Driver: "IPMI"}, provisioner.Controller{Address: "10.0.0.2:8443", MAC: "52:54:00:00:00:b1", User: "root", Driver: "ipmi", Added: true}, "hunter3"},
		{"another account", v1.NewBMC{User: "admin", Password: "hunter4", System: "1", Driver: "redfish"}, provisioner.Controller{Address: "10.0.0.2:8443", MAC: "52:54:00:00:00:b1", User: "admin", System: "1", Driver: "redfish", Added: true}, "hunter4"},
		{"somebody's medium", v1.NewBMC{Eject: "http://198.51.100.9/theirs.iso"}, provisioner.Controller{Address: "10.0.0.2:8443", MAC: "52:54:00:00:00:b1", User: "admin", System: "1", Driver: "redfish", Added: true, Eject: "http://198.51.100.9/theirs.iso"}, "hunter4"},
		{"another system", v1.NewBMC{System: "2"}, provisioner.Controller{Address: "10.0.0.2:8443", MAC: "52:54:00:00:00:b1", User: "admin", System: "2", Driver: "redfish", Added: true, Eject: "http://198.51.100.9/theirs.iso"}, "hunter4"},
	} {
		if _, err := s.AddBMC(t.Context(), "alpha", step.say); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got := *s.stored("alpha").Intent.BMC
		got.Password, got.NewPassword = nil, nil
		if diff := cmp.Diff(step.want, got); diff != "" || s.password("alpha") != step.password {
			t.Errorf("%s: password %q, -want +got:\n%s", step.name, s.password("alpha"), diff)
		}
	}
	h, err := s.AddBMC(t.Context(), "alpha", v1.NewBMC{NewPassword: "hunter5"})
	if err != nil || h.BMC.Renewal != v1.RenewalReady || s.password("alpha") != "hunter4" {
		t.Errorf("of a new password is shown %q, the old one is %q, %v", h.BMC.Renewal, s.password("alpha"), err)
	}
	kept := s.stored("alpha").Intent.BMC
	if plain, err := s.Box.Open(kept.NewPassword, kept.NewContext()); err != nil || string(plain) != "hunter5" {
		t.Errorf("the new password is kept as %q, %v", plain, err)
	}
	journal, err := s.Journal(t.Context(), "alpha", "")
	text, errText := json.Marshal(journal)
	if err := errors.Join(err, errText); err != nil || strings.Contains(string(text), "hunter") || !strings.Contains(string(text), "entered as admin") {
		t.Errorf("the journal says %s, %v", text, err)
	}
}

func TestWhatCannotBeABMCIsRefused(t *testing.T) {
	s := newSite(t)
	s.imports("name,serial,mac,bmc_address,bmc_user,bmc_password\nalpha,S1,525400000001,10.0.0.1,root,x\nbeta,S2,,,,\n")
	for _, c := range []struct {
		name, host string
		say        v1.NewBMC
		status     int
		says       string
	}{
		{"no place", "beta", v1.NewBMC{User: "root"}, 422, "say where the BMC is: its address, or its MAC"},
		{"another host's", "beta", v1.NewBMC{Address: "10.0.0.1"}, 409, "this BMC is that of host h-"},
		{"a host's own MAC", "beta", v1.NewBMC{MAC: "525400000001"}, 422, "52:54:00:00:00:01 is a MAC of host h-"},
		{"a password without a user", "beta", v1.NewBMC{Address: "10.0.0.2", Password: "hunter2"}, 422, "a password stands here and no user"},
		{"too long for IPMI", "alpha", v1.NewBMC{Driver: "ipmi", Password: "hunter2hunter2hunter2"}, 422, "IPMI takes at most 20"},
		{"an account without its password", "alpha", v1.NewBMC{User: "admin"}, 422, "give the password of admin too"},
		{"a fingerprint that is none", "alpha", v1.NewBMC{Fingerprint: "12"}, 422, `fingerprint: "12" is no fingerprint`},
		{"nobody's", "gamma", v1.NewBMC{Address: "10.0.0.3"}, 404, "no host has"},
	} {
		_, err := s.AddBMC(t.Context(), c.host, c.say)
		refused(t, err, c.status, c.says)
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: the password is told: %v", c.name, err)
		}
	}
	if s.password("alpha") != "x" || s.stored("beta").Intent.BMC != nil {
		t.Error("a refused BMC was taken")
	}
}

func TestBMCsAreListedWithThoseThatAskedDHCP(t *testing.T) {
	s := newSite(t, func(o *api.Options) {
		o.Strangers = func() []v1.FoundBMC {
			return []v1.FoundBMC{{Source: "dhcp", MAC: "52:54:00:00:00:b1"}, {Source: "dhcp", MAC: "52:54:00:00:00:b9", Vendor: "Dell"}}
		}
	})
	ids := s.imports("name,bmc_mac\nalpha,5254000000b1\n").Added
	s.edit(ids[0], func(h *provisioner.Host) {
		h.Facts.BMCLease = &provisioner.BMCLease{MAC: "52:54:00:00:00:b1", Address: "192.0.2.7", Network: "eth1", Class: "CPQRIB3"}
		h.Facts.BMC = &provisioner.BMC{Vendor: "HPE", Model: "iLO 5"}
	})
	list, err := s.BMCs(t.Context())
	want := []v1.FoundBMC{
		{Source: "listed", Host: ids[0], Name: "alpha", Order: "plant7", Address: "192.0.2.7", MAC: "52:54:00:00:00:b1", Class: "CPQRIB3", Vendor: "HPE", Kind: "iLO 5", Network: "eth1"},
		{Source: "dhcp", MAC: "52:54:00:00:00:b9", Vendor: "Dell"},
	}
	if diff := cmp.Diff(want, list); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

// asked is a Controllers that says what it was asked.
type asked struct{ host provisioner.Host }

func (a *asked) Check(_ context.Context, h provisioner.Host) (v1.CheckedBMC, error) {
	a.host = h
	return v1.CheckedBMC{}, &provisioner.Fault{Kind: provisioner.Operator, Err: errors.New("the BMC refuses the password")}
}

func TestABMCIsCheckedByWhoeverDrivesIt(t *testing.T) {
	drives := &asked{}
	s := newSite(t, func(o *api.Options) { o.Controllers = drives })
	s.imports("name,serial,bmc_address\nalpha,S1,10.0.0.1\nbeta,S2,\n")
	_, err := s.CheckBMC(t.Context(), "alpha")
	refused(t, err, 409, "the BMC refuses the password")
	if drives.host.Intent.Row.Name != "alpha" {
		t.Errorf("asked of %q", drives.host.Intent.Row.Name)
	}
	_, err = s.CheckBMC(t.Context(), "beta")
	refused(t, err, 409, "has no BMC that muster knows")
	_, err = newSite(t).CheckBMC(t.Context(), "alpha")
	refused(t, err, 404, "no host has")
}

func TestAnOrderSaysWhoseBMCCannotBeEntered(t *testing.T) {
	s := newSite(t)
	s.imports("name,serial,bmc_address,bmc_mac,bmc_user,bmc_password\nalpha,S1,10.0.0.1,,root,x\nbeta,S2,10.0.0.2,,root,\n,S3,,5254000000b3,root,x\ngamma,S4,,,,\n")
	o, err := s.Start(t.Context(), "plant7")
	if err != nil || len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0], "muster cannot enter the BMCs of S3, beta: ") {
		t.Errorf("warnings %q, %v", o.Warnings, err)
	}
	if _, err := s.AddBMC(t.Context(), "beta", v1.NewBMC{User: "root", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	if o, err = s.Order(t.Context(), "plant7"); err != nil || len(o.Warnings) != 1 || strings.Contains(o.Warnings[0], "beta") {
		t.Errorf("warnings %q, %v", o.Warnings, err)
	}
}
