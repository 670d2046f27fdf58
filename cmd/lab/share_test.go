package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// request is a line of the server's log for a request of the boot plane.
func request(at, path, took string) string {
	return `{"level":"debug","path":"` + path + `","took":` + took + `,"time":"2026-11-22T20:00:` + at + `Z","message":"boot plane request"}` + "\n"
}

func TestWhatAHostWaitsForIsCountedAsMusters(t *testing.T) {
	const question, report, progress = "/scout/h-1/.../instruction", "/scout/h-1/.../report", "/scout/h-1/.../progress"
	for _, c := range []struct {
		name, log string
		want      waited
	}{
		{"files are the wire's", request("01", "/image/a-1/d/kernel", "900") + request("02", "/loader/snponly.efi", "300"), waited{}},
		{"answers are muster's", request("01", "/script/x.ipxe", "14") + request("02", "/a/a-1/.../config", "6"),
			waited{answers: 20 * time.Millisecond}},
		{"reading the hardware is work, the pause after it is not",
			request("10", question, "0") + request("14", report, "0") + request("15", question, "0"), waited{scout: time.Second}},
		{"a scout told to wait", request("10", question, "0") + request("15", question, "0") + request("20", question, "0"),
			waited{scout: 10 * time.Second}},
		{"an answer is not counted twice", request("10", question, "0") + request("15", question, "2000"),
			waited{answers: 2 * time.Second, scout: 3 * time.Second}},
		{"a scout that went to the installer and came again",
			request("10", question, "0") + request("20", progress, "0") + request("50", question, "0"), waited{}},
		{"a host that started again", request("10", question, "0") + request("40", "/script/x.ipxe", "0") + request("50", question, "0"), waited{}},
		{"a script told to wait",
			`{"level":"warn","time":"2026-11-22T20:00:01Z","message":"nothing to boot; the host is told to wait"}` + "\nmuster: a line for people\n",
			waited{scripts: 10 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := sumWaits(strings.NewReader(c.log))
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(waited{})); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestMoreThanItsShareIsAnError(t *testing.T) {
	for scout, good := range map[time.Duration]bool{5 * time.Second: true, 6 * time.Second: false} {
		var out strings.Builder
		err := printShare(&out, waited{scout: scout}, 100*time.Second)
		if (err == nil) != good {
			t.Errorf("%s of 100 s: %v", scout, err)
		}
		if !strings.Contains(out.String(), "not counted") {
			t.Errorf("what is counted is not said:\n%s", out.String())
		}
	}
}
