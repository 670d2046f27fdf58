package localuitest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/handoff/localui/localuitest"
)

// clock is a time that goes only when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// served is a stand-in as curl sees it.
type served struct {
	t       *testing.T
	clock   *clock
	address string
	token   string
}

func serve(t *testing.T, c *clock, id string) *served {
	t.Helper()
	edge, err := localuitest.New(localuitest.Options{
		Host: localuitest.Host{
			ID: id, Name: id, Mode: "local", Agent: "4.7.16", Cores: 4, MemoryMB: 8192, MultiNode: true,
			NICs: []localuitest.NIC{{Name: "eth0", MAC: "52:54:00:12:34:56", IP: "10.0.0.4", Main: true}},
		},
		Login: func(user, password string) bool { return user == "kairos" && password == "right" }, Now: c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- edge.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &served{t: t, clock: c, address: l.Addr().String()}
}

// curl asks and wants a status; what came is decoded as JSON.
func (s *served) curl(status int, path string, args ...string) map[string]any {
	s.t.Helper()
	all := append([]string{"-ksS", "-m", "20", "-w", "\n%{http_code}", "-H", "Authorization: " + s.token, "https://" + s.address + path}, args...)
	out, err := exec.CommandContext(s.t.Context(), "curl", all...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("curl %s: %v: %s", path, err, out)
	}
	i := strings.LastIndexByte(string(out), '\n')
	if got := string(out[i+1:]); got != fmt.Sprint(status) {
		s.t.Fatalf("curl %s: %s, want %d: %s", path, got, status, out)
	}
	var answer map[string]any
	if err := json.Unmarshal(out[:i], &answer); err != nil {
		s.t.Fatalf("curl %s: %v: %s", path, err, out)
	}
	return answer
}

func (s *served) login(status int, password string) map[string]any {
	s.t.Helper()
	return s.curl(status, "/v1/users/default/login?setCookie=false", "-H", "Content-Type: application/json",
		"-d", fmt.Sprintf(`{"username":"kairos","password":%q}`, password))
}

func (s *served) loggedIn() {
	s.t.Helper()
	s.token = s.login(200, "right")["Token"].(map[string]any)["Authorization"].(string)
}

const current = "/v1/edge-mgmt/edgehosts/current"

func TestFiveBadLoginsLockTheAccountForFifteenMinutes(t *testing.T) {
	s := serve(t, &clock{now: time.Now()}, "edge-1")
	s.curl(200, "/v1/ping")
	s.curl(401, current)
	for range 5 {
		s.login(401, "wrong")
	}
	if said := s.login(403, "right")["message"]; !strings.Contains(fmt.Sprint(said), "locked") {
		t.Errorf("it says %q", said)
	}
	s.clock.pass(15 * time.Minute)
	s.loggedIn()
	spec := s.curl(200, current)
	if id := spec["metadata"].(map[string]any)["id"]; id != "edge-1" {
		t.Errorf("it is %v", spec)
	}
	if mode := spec["spec"].(map[string]any)["managementMode"]; mode != "local" {
		t.Errorf("it is %v", spec)
	}
	s.clock.pass(2 * time.Hour)
	s.curl(401, current) // the session is over
}

func TestUploadsByCurlAreListedWithTheirDigest(t *testing.T) {
	s := serve(t, &clock{now: time.Now()}, "edge-1")
	s.loggedIn()
	s.curl(404, current+"/uploaded-content/details")
	s.curl(404, "/v1/edge-mgmt/clusters/archive/overridden/details")
	content := []byte(strings.Repeat("content\n", 100_000))
	path := filepath.Join(t.TempDir(), "site.tar.zst")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s.curl(201, current+"/actions/upload-content", "-F", "uploadFile=@"+path)
	s.curl(201, current+"/actions/upload-clusterconfig", "-F", "uploadFile=@"+path+";filename=spc.tgz")
	sum := sha256.Sum256(content)
	listed := s.curl(200, current+"/uploaded-content/details")
	if listed["fileName"] != "site.tar.zst" || listed["sha256Hash"] != hex.EncodeToString(sum[:]) || listed["sizeInBytes"] != float64(len(content)) {
		t.Errorf("it lists %v", listed)
	}
	if d := s.curl(200, "/v1/edge-mgmt/clusters/archive/overridden/details"); d["archiveUploadPath"] != "/opt/spectrocloud/clusterconfig/spc.tgz" {
		t.Errorf("it has %v", d)
	}
	s.curl(500, current+"/actions/upload-content", "-F", "other=@"+path)
}

func TestALinkTokenCountsForTwoMinutes(t *testing.T) {
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	leader, follower := serve(t, c, "edge-1"), serve(t, c, "edge-2")
	leader.loggedIn()
	follower.loggedIn()
	follower.curl(404, current+"/link/status")
	token := func() string { return leader.curl(200, current+"/link/generate-token", "-X", "POST")["token"].(string) }
	old := token()
	c.pass(2 * time.Minute)
	join := func(status int, token string) map[string]any {
		return follower.curl(status, current+"/link", "-d", fmt.Sprintf(`{"token":%q}`, token))
	}
	join(400, old)
	join(400, "nonsense")
	if got := join(200, token()); got["status"] != "Completed" {
		t.Errorf("the follower says %v", got)
	}
	peers := fmt.Sprint(leader.curl(200, current+"/link/status")["peers"])
	if !strings.Contains(peers, "edge-2") {
		t.Errorf("the leader's peers are %s", peers)
	}
}

func TestACertificateInAFileOutlivesTheHost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	start := func() []byte {
		edge, err := localuitest.New(localuitest.Options{Host: localuitest.Host{ID: "edge-1"}, CertFile: file})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- edge.Serve(ctx, l) }()
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		seen := conn.ConnectionState().PeerCertificates[0].Raw
		conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return seen
	}
	if first := start(); !bytes.Equal(first, start()) {
		t.Error("after a restart the certificate is another")
	}
}
