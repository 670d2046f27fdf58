package api_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
)

const calls = "../../testdata/calls/"

func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(calls + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cloudInit has the cloud-init of this machine make a call.
func cloudInit(t *testing.T, what, url string) {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's own, which has the package
	if err := exec.CommandContext(t.Context(), python, "-c", "import cloudinit").Run(); err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("%v: run make lab", err)
		}
		t.Skip("cloud-init is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), python, calls+"call.py", what, url).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestTheRealCloudInitPhonesHome(t *testing.T) {
	plane, srv := bootPlane(t)
	url := srv.URL + "/a/a-1/" + attemptToken + "/phone-home"
	cloudInit(t, "phone-home", url)
	if status, body := ask(t, "POST", url, recorded(t, "cloud-init-phone-home.form"), ""); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	want := []string{"booted a-1 from 127.0.0.1", "register a-1 from 127.0.0.1 agent cloud-init"}
	if diff := cmp.Diff(append(want, want...), plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	claims := map[string]string{"agent": "cloud-init", "instance_id": "h-7q2mk4xw-a-1", "hostname": "edge-1", "fqdn": "edge-1.plant7.example"}
	if diff := cmp.Diff(claims, plane.claims); diff != "" {
		t.Errorf("claims, -want +got:\n%s", diff)
	}
}

func TestTheRealCloudInitReportsItsStages(t *testing.T) {
	plane, srv := bootPlane(t)
	url := srv.URL + "/a/a-1/" + attemptToken + "/report"
	want := []string{
		`step a-1 modules-final "running modules for final"`,
		`step a-1 modules-final-config-scripts-use "running config-scripts-user with frequency once-per-instance"`,
	}
	cloudInit(t, "report", url)
	for _, event := range strings.Split(strings.TrimSpace(recorded(t, "cloud-init-report.jsonl")), "\n") {
		if status, body := ask(t, "POST", url, event, ""); status != 204 {
			t.Errorf("%d %s", status, body)
		}
	}
	if diff := cmp.Diff(append(want, want...), plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUbuntusInstallerReportsStagesAndItsEnd(t *testing.T) {
	plane, srv := bootPlane(t)
	url := srv.URL + "/a/a-1/" + attemptToken + "/report"
	for _, event := range strings.Split(strings.TrimSpace(recorded(t, "subiquity-report.jsonl")), "\n") {
		if status, body := ask(t, "POST", url, event, ""); status != 204 {
			t.Errorf("%d %s", status, body)
		}
	}
	want := []string{
		`step a-1 subiquity-early-run ""`, `step a-1 subiquity-install-install ""`, `step a-1 subiquity-late-run ""`,
		`step a-1 written ""`, `step a-1 subiquity-shutdown-shutdown "mode=REBOOT"`,
	}
	if diff := cmp.Diff(want, plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatAnInstallerReportsIsTakenWithCare(t *testing.T) {
	const failed = `{"name":"subiquity/Late/run/command_3","description":"curl http://10.0.0.1/a/a-1/attempt-token/x returned 7","event_type":"finish","origin":"curtin","result":"FAIL"}`
	full := &provisioner.Fault{Kind: provisioner.Invalid, Err: errors.New("too many stages")}
	over := &provisioner.Fault{Kind: provisioner.Gone, Err: errors.New("over")}
	for _, tc := range []struct {
		name, body string
		err        error
		status     int
		want       []string
	}{
		{"a failure, without the token that the command has", failed, nil, 204,
			[]string{`step a-1 installer-failed "curl http://10.0.0.1/a/a-1/********/x returned 7 (subiquity/Late/run/command_3)"`}},
		{"with log files", `{"name":"cmd-install","description":"curtin command install","event_type":"finish","result":"SUCCESS","files":[{"path":"/tmp/install.log","content":"` + strings.Repeat("QUFB", 100_000) + `","encoding":"base64"}]}`, nil, 204,
			[]string{`step a-1 written "curtin command install"`}},
		{"more stages than are kept", `{"name":"cmd-install","event_type":"start"}`, full, 204, []string{`step a-1 cmd-install ""`}},
		{"of an attempt that is over", `{"name":"cmd-install","event_type":"start"}`, over, 410, []string{`step a-1 cmd-install ""`}},
		{"without a name", `{"event_type":"start"}`, nil, 204, nil},
		{"no JSON", `name=cmd-install`, nil, 422, nil},
		{"far too large", `{"name":"x","description":"` + strings.Repeat("x", 9<<20) + `"}`, nil, 422, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plane, srv := bootPlane(t)
			plane.err = tc.err
			status, body := ask(t, "POST", srv.URL+"/a/a-1/"+attemptToken+"/report", tc.body, "")
			if status != tc.status {
				t.Errorf("%d %s, want %d", status, body, tc.status)
			}
			if diff := cmp.Diff(tc.want, plane.calls); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestKairosAgentRegistersByItsPhonehome(t *testing.T) {
	plane, srv := bootPlane(t)
	url := srv.URL + "/a/a-1/" + attemptToken + "/api/v1/nodes/register"
	said := recorded(t, "kairos-phonehome.json")
	status, body := ask(t, "POST", url, said, "")
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got["id"] == "" || got["apiKey"] == "" {
		t.Errorf("%d %s: the agent keeps no registration without an id and a key", status, body)
	}
	want := []string{"booted a-1 from 127.0.0.1", "register a-1 from 127.0.0.1 agent kairos-agent"}
	if diff := cmp.Diff(want, plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if plane.claims["machine_id"] != "0b2c3d4e5f60718293a4b5c6d7e8f901" || plane.claims["hostname"] != "edge-1" {
		t.Errorf("claims %v", plane.claims)
	}
	if status, _ := ask(t, "POST", url, strings.Replace(said, attemptToken, "guess", 1), ""); status != 401 {
		t.Errorf("a wrong token: %d, the agent wants 401", status)
	}
}
