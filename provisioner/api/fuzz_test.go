package api_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
)

// FuzzBootPlane sends what a hostile host may send, under valid tokens: nothing
// may panic, be redirected or reach the engine unchecked.
func FuzzBootPlane(f *testing.F) {
	const scout, attempt = "/scout/h-1/" + scoutToken, "/a/a-1/" + attemptToken
	f.Add(scout+"/report?attempt=a-1", `{"witness":"scout","system":{"serial":"S1"},"disks":[{"name":"vda","signatures":null}]}`)
	f.Add(scout+"/progress", `{"attempt":"a-1","stage":"kexec","detail":"now"}`)
	f.Add(attempt+"/register", `{"agent":"demo","machine":"x"}`)
	f.Add(attempt+"/phone-home", "instance_id=i-1&hostname=edge%1b-1&pub_key_rsa=ssh-rsa+AAAA")
	f.Add(attempt+"/report", `{"name":"subiquity/Late/run/command_0","description":"\u001b[2J","event_type":"finish","result":"FAIL"}`)
	f.Add(attempt+"/api/v1/nodes/register", `{"machineID":"x\u0000","registrationToken":"attempt-token"}`)
	f.Add(attempt+"/seed/user-data", "")
	f.Add(attempt+"/step/writing", "\x1b]0;title\x07 12 %")
	f.Add(attempt+"/../../v1/hosts", "")
	f.Add("/scout/h-1/%2e%2e/time", "")
	h := provisioner.Host{ID: "h-1"}
	h.Status.Key = scoutToken
	h.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: attemptToken}
	f.Fuzz(func(t *testing.T, target, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || !strings.HasPrefix(target, "/") {
			t.Skip("no request target")
		}
		plane := &recorder{}
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.URL, req.RequestURI = u, target
		req.Header.Set("Authorization", "Bearer "+attemptToken)
		rec := httptest.NewRecorder()
		api.NewBootPlane(plane, oneHost(h), zerolog.Nop()).ServeHTTP(rec, req)
		if rec.Code/100 == 3 || rec.Code >= 500 {
			t.Errorf("%d: %s", rec.Code, rec.Body)
		}
		for _, claim := range plane.claims {
			if strings.ContainsAny(claim, "\x00\x1b\n") {
				t.Errorf("the engine was given the claim %q", claim)
			}
		}
		for _, call := range plane.calls {
			if strings.ContainsAny(call, "\x00\x1b\n") {
				t.Errorf("the engine was given %q", call)
			}
		}
	})
}
