package palettetest_test

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
)

// shell is another client than ours: curl.
type shell struct {
	t    *testing.T
	up   *palettetest.Listening
	cert string
}

func serve(t *testing.T, o palettetest.Options) shell {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up, err := palettetest.Serve(palettetest.New(o), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := up.Close(); err != nil {
			t.Error(err)
		}
	})
	cert := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(cert, up.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	return shell{t, up, cert}
}

// curl returns the status and what came, decoded.
func (s shell) curl(method, path, body string, headers ...string) (status string, got map[string]any) {
	s.t.Helper()
	out := filepath.Join(s.t.TempDir(), "out")
	args := []string{"-sS", "--cacert", s.cert, "-X", method, "-o", out, "-w", "%{http_code}", "-m", "20"}
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	if body != "" {
		args = append(args, "-H", "Content-Type: application/json", "-d", body)
	}
	code, err := exec.CommandContext(s.t.Context(), "curl", append(args, "https://"+s.up.Endpoint+path)...).CombinedOutput()
	if err != nil {
		return strings.TrimSpace(string(code)), nil
	}
	if data, err := os.ReadFile(out); err == nil && len(data) > 0 {
		if err := json.Unmarshal(data, &got); err != nil {
			s.t.Fatalf("%s %s: %s", method, path, data)
		}
	}
	return string(code), got
}

func (s shell) wants(status, method, path, body string, headers ...string) map[string]any {
	s.t.Helper()
	code, got := s.curl(method, path, body, headers...)
	if code != status {
		s.t.Fatalf("%s %s: %s %v, want %s", method, path, code, got, status)
	}
	return got
}

// at follows keys and, in a list, takes the first.
func at(v any, path ...string) any {
	for _, key := range path {
		if list, ok := v.([]any); ok {
			if len(list) == 0 {
				return nil
			}
			v = list[0]
		}
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

const (
	key      = "ApiKey: key"
	inEdge   = "ProjectUid: p-edge"
	register = `{"metadata":{"uid":"plant7-sn1","name":"plant7-sn1","labels":{"rack":"r4"}},"spec":{"agentVersion":"4.9.7",
		"device":{"archType":"amd64","cpu":{"cores":4},"memory":{"sizeInMB":7938},"disks":[{"name":"nvme0n1","size":100}],
		"nics":[{"nicName":"eno1","macAddr":"52:54:00:00:00:01","isDefault":true}]},"host":{"hostAddress":"10.1.4.12","macAddress":"52:54:00:00:00:01"}}}`
)

// TestAnotherClientTakesAHostFromTokenToGone walks all routes with curl.
func TestAnotherClientTakesAHostFromTokenToGone(t *testing.T) {
	s := serve(t, palettetest.Options{})
	if got := s.wants("200", "GET", "/v1/projects/metadata", "", key); at(got, "items", "metadata", "name") != "Default" {
		t.Errorf("projects %v", got)
	}
	version, _ := at(s.wants("200", "GET", "/v1/services/stylus/version", "", key), "spec", "latestVersion", "content").(string)
	if !strings.Contains(version, "version: 4.9.7\n") {
		t.Errorf("version %q", version)
	}
	s.wants("401", "GET", "/v1/projects/metadata", "", "ApiKey: another")
	made := s.wants("201", "POST", "/v1/edgehosts/tokens", `{"metadata":{"name":"batch"},"spec":{"defaultProjectUid":"p-edge","expiry":"2999-01-02T15:04:05.000Z"}}`, key)
	uid, _ := made["uid"].(string)
	token := s.wants("200", "GET", "/v1/edgehosts/tokens/"+uid, "", key)
	value, _ := at(token, "spec", "token").(string)
	if value == "" || at(token, "spec", "defaultProject", "uid") != "p-edge" || at(token, "status", "isActive") != true {
		t.Fatalf("token %v", token)
	}
	s.wants("409", "POST", "/v1/edgehosts/tokens", `{"metadata":{"name":"batch"},"spec":{}}`, key)
	s.wants("404", "GET", "/v1/edgehosts/plant7-sn1", "", key, inEdge)

	s.wants("401", "POST", "/v1/edgehosts/register", register, "EdgeHostToken: nonsense")
	s.wants("200", "POST", "/v1/edgehosts/register", register, "EdgeHostToken: "+value)
	s.wants("200", "POST", "/v1/edgehosts/register", register, "EdgeHostToken: "+value)
	s.wants("409", "POST", "/v1/edgehosts/register", strings.ReplaceAll(register, "00:01", "00:02"), "EdgeHostToken: "+value)
	host := s.wants("200", "GET", "/v1/edgehosts/plant7-sn1", "", key, inEdge)
	if at(host, "status", "state") != "ready" || at(host, "status", "health", "state") != "healthy" || at(host, "spec", "device", "memory", "sizeInMB") != 7938.0 {
		t.Errorf("host %v", host)
	}
	s.wants("404", "GET", "/v1/edgehosts/plant7-sn1", "", key) // another scope
	if got := s.wants("200", "POST", "/v1/dashboard/edgehosts/search", "{}", key); len(got["items"].([]any)) != 0 {
		t.Errorf("without a project there is %v", got)
	}
	if got := s.wants("200", "POST", "/v1/dashboard/edgehosts/search?limit=50", `{"filter":{},"sort":[]}`, key, inEdge); at(got, "items", "metadata", "uid") != "plant7-sn1" {
		t.Errorf("found %v", got)
	}
	s.wants("422", "POST", "/v1/dashboard/edgehosts/search?limit=51", "{}", key, inEdge)
	s.wants("422", "POST", "/v1/dashboard/edgehosts/search", `{"sort":[{"field":"colour"}]}`, key, inEdge)
	s.wants("204", "DELETE", "/v1/edgehosts/plant7-sn1", "", key, inEdge)

	s.wants("204", "PUT", "/v1/edgehosts/tokens/"+uid+"/state", `{"isActive":false}`, key)
	s.wants("401", "POST", "/v1/edgehosts/register", register, "EdgeHostToken: "+value)
	s.wants("204", "DELETE", "/v1/edgehosts/tokens/"+uid, "", key)
	s.wants("404", "GET", "/v1/edgehosts/tokens/"+uid, "", key)
}

func TestASourceThatAsksTooOftenIsToldToWait(t *testing.T) {
	s := serve(t, palettetest.Options{Rate: 0.01, Burst: 2})
	s.wants("200", "GET", "/v1/projects/metadata", "", key)
	s.wants("200", "GET", "/v1/projects/metadata", "", key)
	s.wants("429", "GET", "/v1/projects/metadata", "", key)
	if c := s.up.Counts(); c.Requests != 3 || c.Limited != 1 || c.Calls["GET /v1/projects/metadata"] != 2 {
		t.Errorf("%+v", c)
	}
}

func TestItFailsAsItIsTold(t *testing.T) {
	s := serve(t, palettetest.Options{})
	for _, tc := range []struct {
		name  string
		fault palettetest.Faults
		want  string
	}{
		{"an error", palettetest.Faults{Status: 503}, "503"},
		{"mended", palettetest.Faults{}, "200"},
	} {
		s.up.Fail(tc.fault)
		if code, _ := s.curl("GET", "/v1/projects/metadata", "", key); code != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, code, tc.want)
		}
	}
	s.up.Fail(palettetest.Faults{Away: true})
	if code, _ := s.curl("GET", "/v1/projects/metadata", "", key); strings.HasSuffix(code, "200") {
		t.Errorf("it is away and answers %s", code)
	}
}
