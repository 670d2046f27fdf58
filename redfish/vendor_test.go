package redfish

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tests of this file let the small BMC depart from the standard in one way
// each and boot a host through it.

func TestASlotWithoutActionsIsPatched(t *testing.T) {
	s := newStandin(t)
	delete(s.tree[slotPath], "Actions")
	s.intercept = func(w http.ResponseWriter, _ *http.Request) bool { w.Header().Set("Allow", "GET, PATCH"); return false }
	s.onPatch = func(path string, _ *http.Request, body map[string]any) (int, string, string) {
		if path != slotPath {
			return 0, "", ""
		}
		if body["Inserted"] != true && body["Image"] != nil {
			delete(body, "Image") // XCC: nothing is mounted
		}
		body["ConnectedVia"] = map[any]string{true: "URI", false: "NotConnected"}[body["Inserted"]]
		return 0, "", ""
	}
	if _, err := s.connect(Options{}).Boot(t.Context(), bootISO); err != nil || s.boots[0] != "Cd "+isoURL {
		t.Errorf("booted %v, %v", s.boots, err)
	}
}

// settingsOf gives the system a settings object: what is written there is
// pending, and becomes the system's at the next boot.
func settingsOf(s *standin) string {
	const path = sysPath + "/SD"
	s.tree[sysPath]["@Redfish.Settings"] = map[string]any{"SettingsObject": ref(path)}
	s.tree[path] = map[string]any{"Boot": map[string]any{"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled"}}
	return path
}

func TestTheOverrideGoesToTheSettingsObjectWhereTheSystemRefusesIt(t *testing.T) {
	for name, answer := range map[string]int{"refused": http.StatusBadRequest, "taken and forgotten": 0} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			path := settingsOf(s)
			s.onPatch = func(at string, _ *http.Request, body map[string]any) (int, string, string) {
				if at == sysPath {
					if answer == 0 {
						delete(body, "Boot")
					}
					return answer, "Base.1.0.PropertyNotWritable", "read only"
				}
				return 0, "", ""
			}
			out, err := s.connect(Options{}).Boot(t.Context(), bootISO)
			if err != nil || !out.Working.Settings || count(s.asked, "PATCH "+path) != 1 {
				t.Errorf("%+v, %v", out.Working, err)
			}
		})
	}
}

func TestARowChoosesFullObjectSettingsAndAnyETag(t *testing.T) {
	s := newStandin(t)
	path := settingsOf(s)
	book := rows(t, "  boot: {full: true, settings: true}\n  http: {etags: [any, given]}")
	var first map[string]any
	s.onPatch = func(at string, r *http.Request, body map[string]any) (int, string, string) {
		if r.Header.Get("If-Match") != "*" {
			return http.StatusPreconditionRequired, "Base.1.0.PreconditionRequired", "If-Match"
		}
		if at == path {
			first = body["Boot"].(map[string]any)
		}
		return 0, "", ""
	}
	if _, err := s.connect(Options{Quirks: book}).Boot(t.Context(), bootISO); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once", "BootSourceOverrideMode": "UEFI"}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
}

func TestAWeakETagIsSentInAnotherForm(t *testing.T) {
	s := newStandin(t)
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			w.Header().Set("ETag", `W/"7"`)
		}
		return false
	}
	var forms []string
	s.onPatch = func(_ string, r *http.Request, _ map[string]any) (int, string, string) {
		forms = append(forms, r.Header.Get("If-Match"))
		if forms[len(forms)-1] != `"7"` {
			return http.StatusPreconditionFailed, "Base.1.0.PreconditionFailed", "no"
		}
		return 0, "", ""
	}
	if _, err := s.connect(Options{}).Boot(t.Context(), bootISO); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`W/"7"`, `"7"`}, forms); diff != "" {
		t.Error(diff)
	}
}

func TestTheTargetIsTheRowsEvenIfCdIsListed(t *testing.T) {
	s := newStandin(t)
	if _, err := s.connect(Options{Quirks: rows(t, "  boot: {medium: [UsbCd]}")}).Boot(t.Context(), bootISO); err != nil || s.boots[0] != "UsbCd "+isoURL {
		t.Errorf("booted %v, %v", s.boots, err)
	}
}

func TestAModeThatTheBMCForgetsIsSentAgain(t *testing.T) {
	s := newStandin(t)
	s.onPatch = func(path string, _ *http.Request, body map[string]any) (int, string, string) {
		if boot, ok := body["Boot"].(map[string]any); ok && boot["BootSourceOverrideMode"] == nil {
			boot["BootSourceOverrideMode"] = "Legacy" // Supermicro: unless it is sent
		}
		return 0, "", ""
	}
	want := bootISO
	want.Mode = UEFI
	out, err := s.connect(Options{}).Boot(t.Context(), want)
	mode := s.tree[sysPath]["Boot"].(map[string]any)["BootSourceOverrideMode"]
	if err != nil || mode != "UEFI" || !out.Working.Full || len(s.boots) != 1 {
		t.Errorf("booted %v in mode %v by %+v, %v", s.boots, mode, out.Working, err)
	}
}

func TestAModeThatTheBMCHasNotGotKeepsNoHostOff(t *testing.T) {
	s := newStandin(t)
	s.onPatch = func(path string, _ *http.Request, body map[string]any) (int, string, string) {
		if boot, ok := body["Boot"].(map[string]any); ok {
			boot["BootSourceOverrideMode"] = "Legacy"
		}
		return 0, "", ""
	}
	want := bootISO
	want.Mode = UEFI
	if _, err := s.connect(Options{}).Boot(t.Context(), want); err != nil || len(s.boots) != 1 {
		t.Errorf("booted %v, %v", s.boots, err)
	}
}

// TestABMCThatOnlyKnowsContinuousIsBelievedAndCleared is of sushy-tools, which
// ignores Once: the override stays until somebody takes it away.
func TestABMCThatOnlyKnowsContinuousIsBelievedAndCleared(t *testing.T) {
	s := newStandin(t)
	s.onPatch = func(_ string, _ *http.Request, body map[string]any) (int, string, string) {
		if boot, ok := body["Boot"].(map[string]any); ok && boot["BootSourceOverrideEnabled"] == "Once" {
			boot["BootSourceOverrideEnabled"] = "Continuous"
		}
		return 0, "", ""
	}
	b := s.connect(Options{})
	if out, err := b.Boot(t.Context(), bootISO); err != nil || out.State.Boot.Enabled != "Continuous" || count(s.asked, "PATCH "+sysPath) != 1 {
		t.Fatalf("it shows %+v after %v, %v", out.State.Boot, s.changes(), err)
	}
	out, err := b.Boot(t.Context(), Want{Goal: Cleared, URLs: bootISO.URLs})
	if err != nil || out.State.Boot.Enabled != "Disabled" {
		t.Errorf("cleared, it shows %+v, %v", out.State.Boot, err)
	}
}

func TestPOSTIsWaitedOut(t *testing.T) {
	s := newStandin(t)
	post := 5
	s.onPatch = func(string, *http.Request, map[string]any) (int, string, string) {
		if post--; post >= 0 {
			return http.StatusBadRequest, "iLO.2.14.UnableToModifyDuringSystemPOST", "in POST"
		}
		return 0, "", ""
	}
	out, err := s.connect(Options{}).Boot(t.Context(), bootISO)
	if err != nil || out.Working.Full || out.Working.Settings {
		t.Errorf("%+v, %v", out.Working, err)
	}
}

func TestAnOldIDRACIsToldByItsAttributes(t *testing.T) {
	const attributes = mgrPath + "/Attributes"
	s := newStandin(t)
	s.tree[attributes] = map[string]any{"Attributes": map[string]any{"ServerBoot.1.BootOnce": "Disabled", "ServerBoot.1.FirstBootDevice": "Normal"}}
	if _, err := s.connect(Options{Quirks: rows(t, "  boot: {oem: dell-attributes}")}).Boot(t.Context(), bootISO); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"ServerBoot.1.BootOnce": "Enabled", "ServerBoot.1.FirstBootDevice": "VCD-DVD"}
	if diff := cmp.Diff(want, s.tree[attributes]["Attributes"]); diff != "" {
		t.Error(diff)
	}
}

func TestAVmmControlMountsAndFollowsItsTask(t *testing.T) {
	const nfs = "nfs://192.0.2.1/m/a1/x.iso"
	s := newStandin(t)
	target := slotPath + "/Oem/Huawei/Actions/VirtualMedia.VmmControl"
	s.tree[slotPath]["Actions"] = map[string]any{}
	s.tree[slotPath]["Oem"] = map[string]any{"Huawei": map[string]any{"Actions": map[string]any{"#VirtualMedia.VmmControl": map[string]any{"target": target}}}}
	s.tree["/redfish/v1/Tasks/1"] = map[string]any{"TaskState": "Running"}
	connected := false
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch r.URL.Path {
		case target:
			var body map[string]any
			_ = json.NewDecoder(r.Body).Decode(&body)
			connected = body["VmmControlType"] == "Connect" && body["Image"] == nfs
			s.tree["/redfish/v1/Tasks/1"]["TaskState"] = "Running"
			w.Header().Set("Location", "/redfish/v1/Tasks/1")
			w.WriteHeader(http.StatusAccepted)
			return true
		case "/redfish/v1/Tasks/1":
			merge(s.tree[slotPath], map[string]any{"Inserted": connected, "ConnectedVia": map[bool]string{true: "URI", false: "NotConnected"}[connected], "Image": nfs})
			s.tree["/redfish/v1/Tasks/1"]["TaskState"] = "Completed"
		}
		return false
	}
	b := s.connect(Options{Quirks: rows(t, "  media: {schemes: [nfs]}")})
	if _, err := b.Boot(t.Context(), Want{Goal: BootMedium, URLs: []string{nfs}}); err != nil || count(s.asked, "VmmControl") != 2 || s.boots[0] != "Cd "+nfs {
		t.Errorf("asked %v, %v", s.asked, err)
	}
}

func TestAFinishedTaskIsDeletedWhereTheRowSaysSo(t *testing.T) {
	for _, deletes := range []bool{false, true} {
		s := newStandin(t)
		const task = "/redfish/v1/TaskService/Tasks/7"
		s.tree[task] = map[string]any{"TaskState": "Completed", "TaskStatus": "OK"}
		s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.Method == http.MethodPost && r.URL.Path == slotPath+"/Actions/VirtualMedia.InsertMedia":
				s.mu.Lock()
				defer s.mu.Unlock()
				merge(s.tree[slotPath], map[string]any{"Inserted": true, "ConnectedVia": "URI", "Image": isoURL})
				w.Header().Set("Location", task)
				w.WriteHeader(http.StatusAccepted)
			case r.Method == http.MethodDelete && r.URL.Path == task:
				w.WriteHeader(http.StatusNoContent)
			default:
				return false
			}
			return true
		}
		book := rows(t, fmt.Sprintf("  http: {delete_tasks: %t}", deletes))
		if _, err := s.connect(Options{Quirks: book}).Boot(t.Context(), bootISO); err != nil {
			t.Fatal(err)
		}
		if n := count(s.asked, "DELETE "+task); n > 0 != deletes {
			t.Errorf("the row deletes tasks: %t; it was asked to %d times", deletes, n)
		}
	}
}

func TestResetTypesMayBeInAnActionInfo(t *testing.T) {
	s := newStandin(t)
	s.tree[sysPath]["Actions"] = map[string]any{"#ComputerSystem.Reset": map[string]any{"target": sysPath + "/Actions/ComputerSystem.Reset", "@Redfish.ActionInfo": "/redfish/v1/info"}}
	s.tree["/redfish/v1/info"] = map[string]any{"Parameters": []any{map[string]any{"Name": "ResetType", "AllowableValues": []any{"ForceOn", "ForceOff"}}}}
	if b := s.connect(Options{}); b.resetType("On") != "ForceOn" || b.resetType("ForceOff") != "ForceOff" {
		t.Errorf("allowed %v", b.resets)
	}
}

func TestTheSystemThatCanBeResetIsTheHost(t *testing.T) {
	s := newStandin(t)
	const gpu = "/redfish/v1/Systems/HGX"
	s.tree[gpu] = map[string]any{"Id": "HGX"}
	s.tree["/redfish/v1/Systems"]["Members"] = []any{ref(gpu), ref(sysPath)}
	if b := s.connect(Options{}); b.About().System != sysPath {
		t.Errorf("took %s", b.About().System)
	}
	s.tree[gpu]["Actions"] = s.tree[sysPath]["Actions"]
	_, err := Connect(t.Context(), s.target(), Options{Pace: quick})
	if CauseOf(err) != SeveralSystems || !strings.Contains(err.Error(), "HGX, 1") {
		t.Errorf("got %v", err)
	}
	named := s.target()
	named.System = "1"
	b, err := Connect(t.Context(), named, Options{Pace: quick})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil || b.About().System != sysPath {
		t.Errorf("took %s, %v", b.About().System, err)
	}
}

// TestAMistypedFieldCostsOneFact spoils, one at a time, every property of the
// tree that the boot does not need.
func TestAMistypedFieldCostsOneFact(t *testing.T) {
	needed := []string{"Systems", "Managers", "Members", "Links", "Actions", "Boot", "VirtualMedia", "PowerState", "SessionService", "Inserted"}
	resources := []string{"/redfish/v1", sysPath, mgrPath, slotPath}
	spoiled := 0
	for _, path := range resources {
		for key := range newStandin(t).tree[path] {
			if count(needed, key) > 0 && path != slotPath || key == "Actions" || key == "Inserted" || key == "ConnectedVia" || key == "MediaTypes" || key == "Image" {
				continue
			}
			for _, junk := range []any{7, []any{nil}, map[string]any{"a": "b"}, nil} {
				s := newStandin(t)
				s.tree[path][key] = junk
				spoiled++
				if _, err := s.connect(Options{}).Boot(t.Context(), bootISO); err != nil || len(s.boots) != 1 {
					t.Errorf("%s %s = %v: %v", path, key, junk, err)
				}
			}
		}
	}
	if spoiled < 20 {
		t.Errorf("only %d were spoiled", spoiled)
	}
}

func TestClearingTakesOurMediumAndTheOverrideAway(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	if _, err := b.Boot(t.Context(), bootISO); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	merge(s.tree[sysPath]["Boot"].(map[string]any), map[string]any{"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Continuous"})
	s.mu.Unlock()
	out, err := b.Boot(t.Context(), Want{Goal: Cleared, URLs: bootISO.URLs})
	if err != nil || out.State.Slots[0].Connected() || out.State.Boot.Enabled != "Disabled" || out.State.Power != On {
		t.Errorf("%+v, %v", out.State, err)
	}
	again, err := b.Boot(t.Context(), Want{Goal: Cleared, URLs: bootISO.URLs})
	if err != nil || len(again.Steps) != 0 {
		t.Errorf("the second time: %q, %v", again.Steps, err)
	}
}

func TestPowerIsSetAndAwaited(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	for _, step := range []struct {
		goal Goal
		want Power
	}{{PoweredOff, Off}, {PoweredOn, On}, {PoweredOn, On}, {ShutDown, Off}, {PoweredOff, Off}} {
		if err := b.SetPower(t.Context(), step.goal); err != nil {
			t.Fatal(err)
		}
		if p, err := b.Power(t.Context()); err != nil || p != step.want {
			t.Errorf("%s: %s, %v", step.goal, p, err)
		}
	}
	if n := count(s.asked, "Reset"); n != 3 {
		t.Errorf("%d resets, want 3", n)
	}
}

func TestPowerThatDoesNotSettleIsToldWithItsState(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusNoContent) // and nothing happens
		return true
	}
	err := b.SetPower(t.Context(), PoweredOff)
	if CauseOf(err) != Slow || !strings.Contains(err.Error(), `should be Off and is "On"`) || count(s.asked, "Reset") != mostResets {
		t.Errorf("asked %v, %v", s.asked, err)
	}
}

func TestTheNetworkIsBootedOnce(t *testing.T) {
	s := newStandin(t)
	if _, err := s.connect(Options{}).Boot(t.Context(), Want{Goal: BootNetwork}); err != nil || s.boots[0] != "Pxe" || count(s.asked, "VirtualMedia") != 0 {
		t.Errorf("booted %v, %v", s.boots, err)
	}
}
