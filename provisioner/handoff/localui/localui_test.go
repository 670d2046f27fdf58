package localui_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/localui"
	"github.com/muster-boot/muster/provisioner/handoff/localui/localuitest"
)

const (
	user     = "kairos"
	password = "correct horse battery"
	uid      = "rack4-u12"
	mac      = "52:54:00:12:34:56"
)

// good is a stand-in that is what its order wants.
func good() localuitest.Host {
	return localuitest.Host{
		ID: uid, Name: uid, Mode: "local", Agent: "4.7.16", Cores: 4, MemoryMB: 8192, MultiNode: true,
		NICs: []localuitest.NIC{{Name: "eth0", MAC: strings.ToUpper(mac), IP: "127.0.0.1"}},
	}
}

// site is a driver, its order and its hosts, as the engine would work them.
type site struct {
	t       *testing.T
	driver  *localui.Driver
	batch   handoff.Batch
	bundles string
	stop    func()

	mu     sync.Mutex
	counts []string
}

func newSite(t *testing.T, options map[string]any) *site {
	s := &site{t: t, bundles: t.TempDir(), batch: handoff.Batch{
		Order: "o1", Options: options, Secrets: map[string]provisioner.Secret{"ui": password},
	}}
	if options["password"] == nil {
		options["password"] = "ui"
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *site) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.driver = localui.New(localui.Options{Bundles: s.bundles, Counted: func(_ context.Context, attempt provisioner.AttemptID, stage string, bytes, total int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts = append(s.counts, fmt.Sprintf("%s %s %d/%d", attempt, stage, bytes, total))
	}})
	done := make(chan error, 1)
	run := s.driver.Run
	go func() { done <- run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the driver ended: %v", err)
		}
	}
}

// restart is what a restart of the server is to the driver.
func (s *site) restart() {
	s.stop()
	s.start()
}

// host is an installed host whose system called home from the stand-in's
// address.
func host(n int, name string, macs ...string) provisioner.Host {
	h := provisioner.Host{ID: provisioner.HostID(fmt.Sprint("h-", n)), Intent: provisioner.Intent{
		Order: "o1", Handoff: localui.Name, Row: provisioner.Row{Line: n, Name: name},
	}}
	attempt := provisioner.AttemptID(fmt.Sprint("a-", n))
	h.Status.Phase, h.Status.Attempt = provisioner.Installed, provisioner.Attempt{ID: attempt, Token: "tok3n"}
	report := inventory.Report{}
	for _, m := range macs {
		report.NICs = append(report.NICs, inventory.NIC{MAC: m})
	}
	h.Facts.Report = &provisioner.Report{Report: report}
	h.Facts.Booted = &provisioner.CallHome{Attempt: attempt, Address: "127.0.0.1"}
	return h
}

// serve runs a stand-in and has the site's orders name its port.
func (s *site) serve(edge *localuitest.Server) (port int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- edge.Serve(ctx, l) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	port = l.Addr().(*net.TCPAddr).Port
	s.batch.Options["port"] = port
	return port
}

func newEdge(t *testing.T, h localuitest.Host) *localuitest.Server {
	t.Helper()
	edge, err := localuitest.New(localuitest.Options{Host: h, Login: func(u, p string) bool { return u == user && p == password }})
	if err != nil {
		t.Fatal(err)
	}
	return edge
}

// confirm asks once and writes down what is to be kept, as the engine does.
func (s *site) confirm(h *provisioner.Host) handoff.Result {
	s.t.Helper()
	r, err := s.driver.Confirm(s.t.Context(), s.batch, *h)
	if err != nil {
		s.t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%+v", r), password) {
		s.t.Errorf("the result tells the password: %+v", r)
	}
	if r.Keep != "" {
		h.Facts.Kept = &provisioner.Kept{Attempt: h.Status.Attempt.ID, Text: r.Keep}
	}
	h.Facts.Receipt = r.Receipt
	return r
}

// settled asks until the answer is not "at once", or what is wanted.
func (s *site) settled(h *provisioner.Host, until func(handoff.Result) bool) handoff.Result {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for {
		r := s.confirm(h)
		if r.Again > time.Second || r.Receipt != nil {
			if until == nil || until(r) {
				return r
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("it stays with %+v", r)
		}
	}
}

func receipt(r handoff.Result) bool { return r.Receipt != nil }

func TestAReadyHostGivesItsReceiptAfterOneLogin(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{"agent_version": "4.7.16"}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	r := s.settled(&h, nil)
	if r.Receipt == nil {
		t.Fatalf("no receipt: %+v", r)
	}
	if r.Receipt.ID != uid || r.Receipt.Driver != "localui" || r.Receipt.Attempt != "a-1" || r.Receipt.At.IsZero() {
		t.Errorf("the receipt is %+v", r.Receipt)
	}
	for _, want := range []string{uid, mac, "managed locally", "configured", "4.7.16", "certificate SHA-256"} {
		if !strings.Contains(r.Receipt.Proof, want) {
			t.Errorf("the proof lacks %q: %s", want, r.Receipt.Proof)
		}
	}
	if n := edge.Counts().Logins; n != 1 {
		t.Errorf("%d log-ins", n)
	}
}

func TestAHostThatIsNotWhatWasOrderedIsSaidSo(t *testing.T) {
	other := func(change func(*localuitest.Host)) *localuitest.Host {
		h := good()
		change(&h)
		return &h
	}
	for _, tc := range []struct {
		name   string
		faults localuitest.Faults
		ask    bool
		want   string
	}{
		{"another ID", localuitest.Faults{OtherHost: other(func(h *localuitest.Host) { h.ID = "edge-0123" })}, true, "answers edge host edge-0123, but rack4-u12 was installed"},
		{"another machine", localuitest.Faults{OtherHost: other(func(h *localuitest.Host) { h.NICs[0].MAC = "52:54:00:ff:ff:ff" })}, true, "none of them belongs to the machine that was verified (52:54:00:12:34:56)"},
		{"managed centrally", localuitest.Faults{OtherHost: other(func(h *localuitest.Host) { h.Mode = "central" })}, true, `managed "central" and not local`},
		{"another agent", localuitest.Faults{OtherHost: other(func(h *localuitest.Host) { h.Agent = "4.6.0" })}, true, "has agent 4.6.0, and its order wants 4.7.16"},
		{"not configured yet", localuitest.Faults{OtherHost: other(func(h *localuitest.Host) { h.Configuration = "inprogress" })}, false, "which has not finished its own configuration"},
		{"a state that nobody knows", localuitest.Faults{OtherHost: other(func(h *localuitest.Host) { h.Configuration = "broken" })}, true, `its configuration is "broken"`},
		{"no ID yet", localuitest.Faults{OtherHost: other(func(h *localuitest.Host) { h.ID = "" })}, false, "which the local API at"},
		{"the agent starts", localuitest.Faults{Down: true}, false, "503 Service Unavailable"},
		{"no answer", localuitest.Faults{NoAnswer: true}, false, "where something else answers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, edge, h := newSite(t, map[string]any{"agent_version": "4.7.16"}), newEdge(t, good()), host(1, uid, mac)
			s.serve(edge)
			edge.Fail(tc.faults)
			r := s.settled(&h, nil)
			sentence := r.Waits
			if tc.ask {
				sentence = r.Ask
			}
			if !strings.Contains(sentence, tc.want) || !strings.HasSuffix(sentence, ".") {
				t.Errorf("got %+v, want a sentence with %q", r, tc.want)
			}
			edge.Fail(localuitest.Faults{})
			if r := s.settled(&h, receipt); r.Receipt == nil {
				t.Errorf("mended, and no receipt: %+v", r)
			}
		})
	}
}

func TestNobodyAnswersYet(t *testing.T) {
	s, h := newSite(t, map[string]any{}), host(1, uid, mac)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.batch.Options["port"] = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := s.settled(&h, nil); !strings.Contains(r.Waits, "where nobody answers yet") {
		t.Errorf("got %+v", r)
	}
	h.Facts.Booted = nil
	if r := s.settled(&h, nil); !strings.Contains(r.Waits, "call from an address of its own") {
		t.Errorf("got %+v", r)
	}
}

// TestARefusedPasswordIsNeverTriedAgain: five bad log-ins lock the account.
func TestARefusedPasswordIsNeverTriedAgain(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	s.batch.Secrets["ui"] = "wrong"
	first := s.settled(&h, nil)
	if !strings.Contains(first.Ask, "refused user kairos with the password of its order") {
		t.Fatalf("got %+v", first)
	}
	for range 3 {
		for range 10 {
			if r := s.settled(&h, nil); r.Ask != first.Ask {
				t.Errorf("asked again: %+v", r)
			}
		}
		s.restart()
	}
	if n := edge.Counts().Logins; n != 1 {
		t.Errorf("%d log-ins with a password that was refused", n)
	}
	s.batch.Secrets["ui"] = password // a person has mended the order
	if r := s.settled(&h, receipt); r.Receipt == nil {
		t.Errorf("got %+v", r)
	}
	if n := edge.Counts().Logins; n != 2 {
		t.Errorf("%d log-ins", n)
	}
}

func TestALockedAccountIsSaidSoAndLeftAlone(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{}), newEdge(t, good()), host(1, uid, mac)
	port := s.serve(edge)
	for range 5 {
		badLogin(t, port)
	}
	if r := s.settled(&h, nil); !strings.Contains(r.Ask, "is locked out") || !strings.Contains(r.Ask, "15 minutes") {
		t.Errorf("got %+v", r)
	}
	s.restart()
	s.settled(&h, nil)
	if n := edge.Counts().Logins; n != 6 {
		t.Errorf("%d log-ins, want the five bad ones and one", n)
	}
}

// TestAPersonLetsItGoOn by holding and releasing the host: a lock-out ends, a
// certificate is changed for a reason.
func TestAPersonLetsItGoOn(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	s.batch.Secrets["ui"] = "wrong"
	if r := s.settled(&h, nil); !strings.Contains(r.Ask, "muster host hold h-1 --reason log-in, and: muster host release h-1") || !r.Away {
		t.Fatalf("got %+v", r)
	}
	edge = newEdge(t, good())
	s.serve(edge)
	s.batch.Secrets["ui"] = password
	if r := s.settled(&h, nil); !strings.Contains(r.Ask, "another certificate") {
		t.Fatalf("got %+v", r)
	}
	h.Intent.Requests.Release++
	if r := s.settled(&h, receipt); r.Receipt == nil || edge.Counts().Logins != 1 {
		t.Errorf("got %+v after %d log-ins", r, edge.Counts().Logins)
	}
}

func TestAHostWhosePingWantsALoginIsThere(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	edge.Fail(localuitest.Faults{Shy: true})
	if r := s.settled(&h, receipt); r.Receipt == nil {
		t.Errorf("got %+v", r)
	}
}

// TestRestartsInTheMiddleOfALoginDoNotLockTheAccount: the server dies each time
// after the log-in was sent, before it could write down what came of it.
func TestRestartsInTheMiddleOfALoginDoNotLockTheAccount(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	s.batch.Secrets["ui"] = "wrong"
	var last handoff.Result
	for range 8 {
		last = s.confirm(&h) // says that it will
		lost := h
		last = s.confirm(&lost) // does, and is forgotten
		s.restart()
	}
	if n := edge.Counts().Logins; n >= 5 {
		t.Errorf("%d bad log-ins lock the account", n)
	}
	if !strings.Contains(last.Ask, "It is not known what became of 3 log-ins") {
		t.Errorf("got %+v", last)
	}
}

func TestAnotherCertificateIsAnotherHost(t *testing.T) {
	s, h := newSite(t, map[string]any{}), host(1, uid, mac)
	first := newEdge(t, good())
	first.Fail(localuitest.Faults{OtherHost: &localuitest.Host{ID: ""}})
	s.serve(first)
	s.settled(&h, nil)
	second := newEdge(t, good())
	s.serve(second)
	if r := s.settled(&h, nil); !strings.Contains(r.Ask, "another certificate than at first") {
		t.Errorf("got %+v", r)
	}
	if n := second.Counts().Logins; n != 0 {
		t.Errorf("the password was sent to another host %d times", n)
	}
}

func TestASessionThatIsOverIsBegunAnew(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	edge, err := localuitest.New(localuitest.Options{Host: good(), Now: clock, Login: func(u, p string) bool { return p == password }})
	if err != nil {
		t.Fatal(err)
	}
	s, h := newSite(t, map[string]any{}), host(1, uid, mac)
	s.driver = localui.New(localui.Options{Now: clock})
	s.serve(edge)
	edge.Fail(localuitest.Faults{OtherHost: &localuitest.Host{ID: ""}})
	s.settled(&h, nil)
	mu.Lock()
	now = now.Add(3 * time.Hour)
	mu.Unlock()
	edge.Fail(localuitest.Faults{})
	if r := s.settled(&h, receipt); r.Receipt == nil || edge.Counts().Logins != 2 {
		t.Errorf("got %+v after %d log-ins", r, edge.Counts().Logins)
	}
}

func (s *site) bundle(name string, size int) {
	s.t.Helper()
	text := bytes.Repeat([]byte(name+"\n"), size/len(name)+1)[:size]
	if err := os.WriteFile(filepath.Join(s.bundles, name), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func TestContentAndDefinitionAreUploadedOnceWithProgress(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{
		"content": map[string]any{"file": "site.tar.zst"}, "definition": map[string]any{"file": "spc.tgz"},
	}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	s.bundle("site.tar.zst", 3<<20)
	s.bundle("spc.tgz", 1<<10)
	r := s.settled(&h, receipt)
	for _, want := range []string{"lists the content bundle site.tar.zst", "has the cluster definition spc.tgz"} {
		if !strings.Contains(r.Receipt.Proof, want) {
			t.Errorf("the proof lacks %q: %s", want, r.Receipt.Proof)
		}
	}
	s.mu.Lock()
	counts := slices.Clone(s.counts)
	s.mu.Unlock()
	for _, want := range []string{"a-1 content 0/3145728", "a-1 content 3145728/3145728", "a-1 definition 1024/1024"} {
		if !slices.Contains(counts, want) {
			t.Errorf("%q was not counted", want)
		}
	}
	s.restart()
	s.settled(&h, receipt)
	if n := edge.Counts(); n.Uploads != 2 || n.Bytes != 3<<20+1<<10 {
		t.Errorf("after a restart %d uploads of %d bytes, want none anew", n.Uploads, n.Bytes)
	}
}

func TestAnUploadThatBreaksOffIsMadeAgain(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{"content": map[string]any{"file": "site.tar.zst"}}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	s.bundle("site.tar.zst", 3<<20)
	edge.Fail(localuitest.Faults{Cut: 1 << 20})
	broke := s.settled(&h, func(r handoff.Result) bool { return strings.Contains(r.Waits, "broke off") })
	if !strings.Contains(broke.Waits, "site.tar.zst") {
		t.Errorf("got %+v", broke)
	}
	s.settled(&h, receipt)
	if n := edge.Counts().Uploads; n != 2 {
		t.Errorf("%d uploads", n)
	}
}

func TestAHostThatTakesContentAndLosesItIsSaidSo(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{"content": map[string]any{"file": "site.tar.zst"}}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	s.bundle("site.tar.zst", 1<<16)
	edge.Fail(localuitest.Faults{Forgets: true})
	s.settled(&h, func(r handoff.Result) bool {
		return strings.Contains(r.Ask, "took the content bundle site.tar.zst and lists nothing")
	})
}

func TestUploadsGoAFewAtATimeOverAllHosts(t *testing.T) {
	const hosts, atATime = 9, 4
	s := newSite(t, map[string]any{"content": map[string]any{"file": "site.tar.zst"}})
	s.bundle("site.tar.zst", 1<<20)
	edge := newEdge(t, good()) // one place for all, so that it sees how many come at a time
	s.serve(edge)
	hold := make(chan struct{})
	edge.Fail(localuitest.Faults{Hold: hold, Forgets: true})
	all := make([]provisioner.Host, hosts)
	waiting := 0
	for i := range all {
		all[i] = host(i+1, uid, mac)
		s.settled(&all[i], func(r handoff.Result) bool { return r.Waits != "" })
	}
	until(t, func() bool { return edge.Counts().Running == atATime })
	for i := range all {
		switch r := s.settled(&all[i], nil); {
		case strings.Contains(r.Waits, "the turn of the content bundle site.tar.zst: 4 uploads run at a time"):
			waiting++
		case !strings.Contains(r.Waits, "the upload of the content bundle"):
			t.Errorf("host %d: %+v", i, r)
		}
	}
	close(hold)
	for i := range all {
		s.settled(&all[i], func(r handoff.Result) bool { return r.Ask != "" })
	}
	if n := edge.Counts(); n.Uploads < hosts || n.Parallel != atATime || waiting != hosts-atATime {
		t.Errorf("%d uploads, %d at a time, %d waited", n.Uploads, n.Parallel, waiting)
	}
}

// until waits for something that another goroutine does.
func until(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come to pass")
		}
	}
}

func TestAFileThatIsNotThereIsAskedFor(t *testing.T) {
	s, edge, h := newSite(t, map[string]any{"content": map[string]any{"file": "gone.tar.zst"}}), newEdge(t, good()), host(1, uid, mac)
	s.serve(edge)
	if r := s.settled(&h, nil); !strings.Contains(r.Ask, "there is no gone.tar.zst in "+s.bundles) {
		t.Errorf("got %+v", r)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(s.bundles, "gone.tar.zst")); err != nil {
		t.Fatal(err)
	}
	if r := s.settled(&h, nil); !strings.Contains(r.Ask, "cannot be read") {
		t.Errorf("a link out of the directory: %+v", r)
	}
}

// TestHostsAreLinkedWithTheirLeader: each at its own address, as the port is
// the order's.
func TestHostsAreLinkedWithTheirLeader(t *testing.T) {
	s := newSite(t, map[string]any{"link": map[string]any{"leader": "edge-1"}})
	var edges []*localuitest.Server
	port := 0
	for n := 1; n <= 3; n++ {
		who := good()
		who.ID, who.Name = fmt.Sprint("edge-", n), fmt.Sprint("edge-", n)
		who.NICs = []localuitest.NIC{{MAC: fmt.Sprintf("52:54:00:00:00:%02x", n)}}
		edge := newEdge(t, who)
		port = s.serveAt(edge, fmt.Sprintf("127.0.0.%d", n), port)
		edges = append(edges, edge)
		h := host(n, who.Name, who.NICs[0].MAC)
		h.Facts.Booted.Address = fmt.Sprintf("127.0.0.%d", n)
		s.batch.Hosts = append(s.batch.Hosts, h)
	}
	follower := &s.batch.Hosts[1]
	if r := s.settled(follower, nil); !strings.Contains(r.Waits, "edge-1, which leads the linked hosts of the order; this host is ready") {
		t.Fatalf("before its leader is ready: %+v", r)
	}
	for n := range s.batch.Hosts {
		s.settled(&s.batch.Hosts[n], receipt)
	}
	if proof := s.batch.Hosts[0].Facts.Receipt.Proof; !strings.Contains(proof, "it leads the linked hosts") {
		t.Errorf("the leader's proof: %s", proof)
	}
	if proof := s.batch.Hosts[2].Facts.Receipt.Proof; !strings.Contains(proof, "it is linked with edge-1") {
		t.Errorf("a follower's proof: %s", proof)
	}
	if n := edges[0].Counts().Logins; n > 2 {
		t.Errorf("%d log-ins at the leader", n)
	}
}

func (s *site) serveAt(edge *localuitest.Server, address string, port int) int {
	l, err := net.Listen("tcp", net.JoinHostPort(address, fmt.Sprint(port)))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- edge.Serve(ctx, l) }()
	s.t.Cleanup(func() { cancel(); s.t.Log(errors.Join(<-done)) })
	s.batch.Options["port"] = l.Addr().(*net.TCPAddr).Port
	return l.Addr().(*net.TCPAddr).Port
}
