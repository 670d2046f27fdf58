package redfish

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/muster-boot/muster/redfish/quirk"
)

func yes(b bool) *bool { return &b }

// ready is a host that is off, with one empty slot and no override.
func ready() State {
	return State{
		Power: Off,
		Slots: []Slot{{Path: "/s/2", ID: "2", Usable: true, insert: "/s/2/insert", eject: "/s/2/eject", inserted: yes(false), connected: "NotConnected"}},
		Boot:  Override{Target: "None", Enabled: "Disabled", Mode: UEFI, exists: true, targets: []string{"None", "Pxe", "Cd"}},
	}
}

func (v verb) String() string {
	return [...]string{"finish", "refuse", "wait", "reset", "eject", "insert", "override", "enable"}[v]
}

func TestNextLooksBeforeItRemembers(t *testing.T) {
	filled := func(s *State) {
		s.Slots[0].inserted, s.Slots[0].connected, s.Slots[0].Image = yes(true), "URI", isoURL
	}
	ejected := map[string]bool{"/s/2": true}
	for name, tc := range map[string]struct {
		state  func(*State)
		memory memory
		want   verb
	}{
		"an empty slot is ejected":               {func(*State) {}, memory{}, eject},
		"our medium is ejected if we forgot it":  {filled, memory{}, eject},
		"a slot that was emptied is filled":      {func(*State) {}, memory{ejected: ejected}, insert},
		"a slot that is still full is waited":    {filled, memory{ejected: ejected}, wait},
		"a medium that does not show is waited":  {func(*State) {}, memory{ejected: ejected, filled: true}, wait},
		"a medium that shows is booted":          {filled, memory{ejected: ejected, filled: true}, override},
		"an override that does not show":         {filled, memory{ejected: ejected, filled: true, wrote: true}, wait},
		"an override that shows":                 {func(s *State) { filled(s); s.Boot.Target, s.Boot.Enabled = "Cd", "Once" }, memory{ejected: ejected, filled: true, wrote: true}, reset},
		"a stale override is written again":      {func(s *State) { filled(s); s.Boot.Target, s.Boot.Enabled = "Cd", "Once" }, memory{ejected: ejected, filled: true}, override},
		"on with our medium, that nobody read":   {func(s *State) { filled(s); s.Power = On }, memory{}, reset},
		"on, and nothing of ours":                {func(s *State) { s.Power = On }, memory{}, reset},
		"still going off":                        {func(s *State) { s.Power = PoweringOff }, memory{commanded: Off}, wait},
		"told to be on":                          {func(s *State) { filled(s); s.Power = PoweringOn }, memory{commanded: On, filled: true, ejected: ejected}, wait},
		"on after it was told":                   {func(s *State) { s.Power = On }, memory{commanded: On}, finish},
		"another URL in the slot after the fill": {func(s *State) { filled(s); s.Slots[0].Image = "http://192.0.2.1/m/a0/x.iso" }, memory{ejected: ejected, filled: true}, wait},
		"no slot":                                {func(s *State) { s.Slots = nil }, memory{}, refuse},
		"no override":                            {func(s *State) { s.Boot = Override{} }, memory{}, refuse},
		"the ladder's end":                       {filled, memory{ejected: ejected, filled: true, write: 9}, refuse},
	} {
		t.Run(name, func(t *testing.T) {
			s := ready()
			tc.state(&s)
			if got := next(s, bootISO, tc.memory, quirk.Standard()); got.do != tc.want || (got.why == "" && got.fault == nil) {
				t.Errorf("got %v because %q %v, want %v", got.do, got.why, got.fault, tc.want)
			}
		})
	}
}

func TestAHostThatReadsItsMediumIsNotStartedAgain(t *testing.T) {
	s := ready()
	s.Slots[0].inserted, s.Slots[0].connected, s.Slots[0].Image = yes(true), "URI", isoURL
	s.Power = On
	read := bootISO
	read.Read = true
	if got := next(s, read, memory{}, quirk.Standard()); got.do != finish {
		t.Errorf("got %v because %q", got.do, got.why)
	}
	if got := next(s, read, memory{commanded: Off}, quirk.Standard()); got.do != wait {
		t.Errorf("told to be off it got %v because %q", got.do, got.why)
	}
}

func TestRefusalsComeBeforeTheHostIsTouched(t *testing.T) {
	for name, tc := range map[string]struct {
		q    quirk.Quirk
		want Want
		say  string
	}{
		"a row that refuses": {quirk.Quirk{Media: quirk.Media{Refuse: "Boot it by PXE."}}, bootISO, "Boot it by PXE."},
		"another scheme":     {quirk.Quirk{Media: quirk.Media{Schemes: []string{"nfs", "cifs"}}}, bootISO, "nfs or cifs only"},
		"https only, and there is none": {
			quirk.Quirk{Media: quirk.Media{Schemes: []string{"https"}}}, Want{Goal: BootMedium, URLs: []string{isoURL}}, "set up the boot plane's https",
		},
		"no UEFI HTTP": {quirk.Standard(), Want{Goal: BootHTTP}, "does not offer UEFI HTTP"},
		"no such goal": {quirk.Standard(), Want{Goal: "dance"}, "no goal"},
	} {
		t.Run(name, func(t *testing.T) {
			s := ready()
			s.Power = On
			got := next(s, tc.want, memory{}, tc.q)
			if got.do != refuse || got.fault.Kind != Operator || !strings.Contains(got.fault.Say, tc.say) {
				t.Errorf("got %v %v", got.do, got.fault)
			}
		})
	}
}

func TestEmptinessIsJudgedByConnectionNotByImage(t *testing.T) {
	for name, tc := range map[string]struct {
		slot Slot
		want bool
	}{
		"Supermicro after an eject": {Slot{Image: isoURL, inserted: yes(false), connected: "NotConnected"}, false},
		"a viewer's medium":         {Slot{inserted: yes(true), connected: "Applet"}, true},
		"no Inserted":               {Slot{connected: "URI"}, true},
		"an Image and no more":      {Slot{Image: isoURL}, true},
		"nothing at all":            {Slot{}, false},
		"iLO":                       {Slot{inserted: yes(false), connected: "NotConnected"}, false},
	} {
		if tc.slot.Connected() != tc.want {
			t.Errorf("%s: connected is not %t", name, tc.want)
		}
	}
}

func TestTheSameFileIsKnownInAllItsSpellings(t *testing.T) {
	for image, want := range map[string]bool{
		isoURL: true, isoTLS: true, "m/a1/x.iso": true, "/m/a1/x.iso": true, "x.iso": true,
		"http://192.0.2.1:8067/m/a2/x.iso": false, "y.iso": false, "": false, "http://192.0.2.1:8067/x.iso": false,
	} {
		if sameFile(image, isoURL) != want {
			t.Errorf("%q is not %t", image, want)
		}
	}
}

func TestSlotsAreChosenByWhatTheyCanDo(t *testing.T) {
	slots := []Slot{
		{Path: "/m/Slot_0", ID: "Slot_0", Place: quirk.Managers, eject: "/e"},
		{Path: "/m/EXT2", ID: "EXT2", Place: quirk.Managers, patchable: true},
		{Path: "/m/EXT1", ID: "EXT1", Place: quirk.Managers, patchable: true},
		{Path: "/m/Remote1", ID: "Remote1", Place: quirk.Managers, patchable: true},
	}
	ids := func(list []Slot) (ids []string) {
		for _, s := range usable(list) {
			ids = append(ids, s.ID)
		}
		return ids
	}
	for name, tc := range map[string]struct {
		q      quirk.Media
		worked string
		want   []string
	}{
		"by action and path": {quirk.Media{}, "", []string{"EXT1", "EXT2", "Remote1"}},
		"by the row":         {quirk.Media{Slots: []string{"EXT*"}}, "", []string{"EXT1", "EXT2"}},
		"by its skips":       {quirk.Media{Skip: []string{"ext1"}}, "", []string{"EXT2", "Remote1"}},
		"by what worked":     {quirk.Media{}, "/m/Remote1", []string{"Remote1", "EXT1", "EXT2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ids(arrange(slots, quirk.Quirk{Media: tc.q}, tc.worked))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOnlyWhatChangesIsWritten(t *testing.T) {
	shown := Override{Target: "None", Enabled: "Disabled", Mode: UEFI, targets: []string{"Cd", "UsbCd"}}
	for name, tc := range map[string]struct {
		q    quirk.Boot
		want Want
		body map[string]any
	}{
		"a standard BMC": {quirk.Boot{}, bootISO, map[string]any{"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once"}},
		"the full object": {quirk.Boot{Full: true, Medium: []string{"UsbCd"}}, bootISO, map[string]any{
			"BootSourceOverrideTarget": "UsbCd", "BootSourceOverrideEnabled": "Once", "BootSourceOverrideMode": "UEFI",
		}},
		"another mode": {quirk.Boot{}, Want{Goal: BootNetwork, Mode: Legacy}, map[string]any{
			"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once", "BootSourceOverrideMode": "Legacy",
		}},
		"UEFI HTTP": {quirk.Boot{}, Want{Goal: BootHTTP, URLs: []string{"http://192.0.2.1/x.efi"}}, map[string]any{
			"BootSourceOverrideTarget": "UefiHttp", "BootSourceOverrideEnabled": "Once", "HttpBootUri": "http://192.0.2.1/x.efi",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ladder := writes(shown, tc.want, quirk.Quirk{Boot: tc.q})
			if diff := cmp.Diff(map[string]any{"Boot": tc.body}, ladder[0].body(shown, tc.want)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMediaURLsKeepToTheFormThatAllTake(t *testing.T) {
	for url, good := range map[string]bool{
		isoURL: true, isoTLS: true, "https://[2001:db8::1]/m/x.iso": true,
		"http://boot.example/m/x.iso": false, "http://192.0.2.1/x.iso": false, "http://192.0.2.1/m/x.img": false, "http://192.0.2.1/m/x.iso?t=1": false,
		"http://192.0.2.1/m/a&b.iso": false, "http://u:p@192.0.2.1/m/x.iso": false, "http://192.0.2.1/m/../x.iso": false, "x.iso": false,
		"http://192.0.2.1/" + strings.Repeat("m", 250) + "/x.iso": false,
	} {
		if err := checkURLs([]string{url}); (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
	}
	if checkURLs(nil) == nil {
		t.Error("no URL is good")
	}
}

func TestETagsComeInTheFormsThatBMCsWant(t *testing.T) {
	for _, tc := range []struct {
		form       quirk.ETag
		etag, want string
	}{
		{quirk.Given, `W/"1-gzip"`, `W/"1-gzip"`}, {quirk.Strong, `W/"1-gzip"`, `"1"`}, {quirk.None, `"1"`, ""}, {quirk.Any, "", "*"}, {quirk.Given, "", ""},
		{quirk.Given, `"` + strings.Repeat("x", 70) + `"`, ""},
	} {
		if got := ifMatch(tc.form, tc.etag); got != tc.want {
			t.Errorf("%s of %s is %s, want %s", tc.form, tc.etag, got, tc.want)
		}
	}
}

func TestATaskEndsAsItsStateSays(t *testing.T) {
	for body, want := range map[string]struct {
		status int
		ended  bool
	}{
		`{"TaskState":"Running"}`:                                {http.StatusOK, false},
		`{"TaskState":"Completed","TaskStatus":"OK"}`:            {http.StatusOK, true},
		`{"TaskState":"Completed","TaskStatus":"Critical"}`:      {http.StatusInternalServerError, true},
		`{"TaskState":"Exception","Messages":[{"Message":"m"}]}`: {http.StatusInternalServerError, true},
		`{}`: {http.StatusOK, true},
	} {
		if got, ended := taskEnd(newReply(http.StatusOK, http.Header{}, []byte(body))); got.status != want.status || ended != want.ended {
			t.Errorf("%s: %d %t", body, got.status, ended)
		}
	}
	if _, ended := taskEnd(reply{status: http.StatusAccepted}); ended {
		t.Error("202 ends a task")
	}
}

func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"code":"Base.1.0.GeneralError","@Message.ExtendedInfo":[{"MessageId":"Base.1.8.ActionParameterMissing","MessageArgs":["InsertMedia","TransferProtocolType"]}]}}`,
		`{"error":{"@Message.ExtendedInfo":{"MessageId":7,"RelatedProperties":["#/Boot"]}}}`, `{"TaskState":"Exception"}`, `[]`, `<html>`, `{"Boot":[],"Actions":{"Oem":{"#A.Reset":{"target":"//x"}}}}`,
	} {
		f.Add([]byte(seed), http.StatusBadRequest)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		r := newReply(status, http.Header{}, body)
		if !r.ok() && r.fault("try", quirk.Standard()).Say == "" {
			t.Error("a refusal without a sentence")
		}
		o, ok := parseObject(body)
		if !ok {
			return
		}
		newSlot("/s", quirk.Systems, o, r)
		newOverride(o, r)
		taskEnd(r)
		if link := action(o, "Reset"); link != "" && (!strings.HasPrefix(link, "/") || strings.HasPrefix(link, "//")) {
			t.Errorf("an action leads to %s", link)
		}
	})
}
