package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/apitest"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
)

// site is a running people's API with a client.
type site struct {
	*apitest.Site
	*client.Client
	t *testing.T
}

func newSite(t *testing.T, change ...func(*api.Options)) *site {
	t.Helper()
	running, err := apitest.Start(t.TempDir(), func(o *api.Options) {
		for _, f := range change {
			f(o)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := client.New(running.Socket)
	if err != nil {
		t.Fatal(err)
	}
	return &site{Site: running, Client: c, t: t}
}

// edit changes a host as the engine or the boot plane would.
func (s *site) edit(id string, f func(*provisioner.Host)) {
	s.t.Helper()
	_, err := s.Store.Change(s.t.Context(), provisioner.HostID(id), func(h *provisioner.Host) ([]provisioner.Entry, error) {
		f(h)
		return nil, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// put makes a host that was seen and is in no order.
func (s *site) put(h provisioner.Host) {
	s.t.Helper()
	if h.Status.Why == "" {
		h.Status.Why = "Seen."
	}
	if err := s.Store.Commit(s.t.Context(), store.Change{Put: []provisioner.Host{h}}); err != nil {
		s.t.Fatal(err)
	}
}

const order = "name: plant7\nprofile: edge-minimum\nhandoff: {driver: callhome}\nconfig: {password: hunter2}\n"

func (s *site) imports(csv string) v1.Imported {
	s.t.Helper()
	report, err := s.Import(s.t.Context(), v1.Import{Order: order, Manifest: csv})
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

func (s *site) names() []string {
	s.t.Helper()
	hosts, err := s.Hosts(s.t.Context(), "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	names := []string{}
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	return names
}

// refused asserts that err is a problem of this status that says this.
func refused(t *testing.T, err error, status int, says string) {
	t.Helper()
	var p *v1.Problem
	if !errors.As(err, &p) || p.Status != status || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want status %d and %q", err, status, says)
	}
}

func TestNoSecretLeavesByAnyRoute(t *testing.T) {
	s := newSite(t)
	id := s.imports("serial\nS1\n").Added[0]
	s.edit(id, func(h *provisioner.Host) {
		h.Status.Key = "scout-secret"
		h.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: "attempt-secret"}
	})
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.Socket)
	}}}
	for _, path := range []string{"/v1/hosts", "/v1/hosts/S1", "/v1/hosts/S1/why", "/v1/hosts/S1/journal", "/v1/orders", "/v1/orders/plant7"} {
		body := get(t, hc, path)
		for _, secret := range []string{"scout-secret", "attempt-secret", "hunter2"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s tells %s", path, secret)
			}
		}
	}
	if body := get(t, hc, "/v1/orders/plant7"); !strings.Contains(body, `"config":["password"]`) {
		t.Errorf("order %s", body)
	}
}

func TestMisspeltWishesAreNotTaken(t *testing.T) {
	s := newSite(t)
	s.imports("serial\nS1\n")
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.Socket)
	}}}
	resp, err := hc.Post("http://muster/v1/hosts/S1/hold", "application/json", strings.NewReader(`{"reson":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 422 || resp.Header.Get("Content-Type") != v1.ProblemType {
		t.Errorf("%s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
}

func TestHealthAndVersion(t *testing.T) {
	s := newSite(t, func(o *api.Options) {
		o.Reasons = func() []string { return []string{"There is no discovery ramdisk: run muster ramdisk build."} }
	})
	h, err := s.Health(t.Context())
	if err != nil || h.Status != "degraded" || len(h.Reasons) != 1 {
		t.Errorf("health %+v, %v", h, err)
	}
	v, err := s.Version(t.Context())
	if err != nil || v.Muster != "v0-test" {
		t.Errorf("version %+v, %v", v, err)
	}
}

// get reads a path of the API as text.
func get(t *testing.T, hc *http.Client, path string) string {
	t.Helper()
	resp, err := hc.Get("http://muster" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if err := resp.Write(&b); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return b.String()
}
