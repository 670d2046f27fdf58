package redfish

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/muster-boot/muster/redfish/quirk"
)

var bootISO = Want{Goal: BootMedium, URLs: []string{isoURL, isoTLS}}

func TestAHostBootsTheMediumInTheSafestOrder(t *testing.T) {
	s := newStandin(t)
	out, err := s.connect(Options{}).Boot(t.Context(), bootISO)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"POST " + sysPath + "/Actions/ComputerSystem.Reset",
		"POST " + slotPath + "/Actions/VirtualMedia.EjectMedia",
		"POST " + slotPath + "/Actions/VirtualMedia.InsertMedia",
		"PATCH " + sysPath,
		"POST " + sysPath + "/Actions/ComputerSystem.Reset",
	}
	if diff := cmp.Diff(want, s.changes()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Cd " + isoURL}, s.boots); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Working{Slot: slotPath, Scheme: "http", Target: "Cd"}, out.Working); diff != "" || out.State.Power != On || out.Begun {
		t.Errorf("power %s, begun %t\n%s", out.State.Power, out.Begun, diff)
	}
}

func TestABootBegunBeforeIsNotBegunAgain(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	if _, err := b.Boot(t.Context(), bootISO); err != nil {
		t.Fatal(err)
	}
	read := bootISO
	read.Read = true
	out, err := b.Boot(t.Context(), read)
	if err != nil || !out.Begun || len(s.boots) != 1 {
		t.Errorf("begun %t, booted %v, %v", out.Begun, s.boots, err)
	}
	again := bootISO
	again.URLs = []string{"http://192.0.2.1:8067/m/a2/x.iso"}
	again.Ours = func(image string) bool { return strings.HasPrefix(image, "http://192.0.2.1:8067/m/") }
	if _, err := b.Boot(t.Context(), again); err != nil || len(s.boots) != 2 || s.boots[1] != "Cd "+again.URLs[0] {
		t.Errorf("the next attempt booted %v, %v", s.boots, err)
	}
}

// TestACrashBetweenAnyTwoActsEndsTheSame cuts the run before and after each
// request that changes something.
func TestACrashBetweenAnyTwoActsEndsTheSame(t *testing.T) {
	const changes = 5
	for n := range changes * 2 {
		s := newStandin(t)
		ctx, crash := context.WithCancel(t.Context())
		left := n / 2
		s.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet || r.Method == http.MethodDelete || strings.HasSuffix(r.URL.Path, "/Sessions") {
				return false
			}
			left--
			if left >= 0 {
				return false
			}
			s.intercept = nil
			crash()
			return n%2 == 0 // before the act; else after it, with its answer lost
		}
		b, err := Connect(ctx, s.target(), Options{Pace: quick})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Boot(ctx, bootISO); !errors.Is(err, context.Canceled) {
			t.Fatalf("cut %d: %v", n, err)
		}
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
		again := bootISO
		again.Read = len(s.boots) > 0
		if _, err := s.connect(Options{}).Boot(t.Context(), again); err != nil {
			t.Fatalf("after cut %d: %v", n, err)
		}
		if diff := cmp.Diff([]string{"Cd " + isoURL}, s.boots); diff != "" {
			t.Errorf("cut %d: %s", n, diff)
		}
	}
}

func TestAStaleMediumIsWaitedOutAndNoInsertSkipped(t *testing.T) {
	s := newStandin(t)
	s.tree[sysPath]["PowerState"] = "Off"
	merge(s.tree[slotPath], map[string]any{"Inserted": true, "ConnectedVia": "URI", "Image": isoURL})
	b := s.connect(Options{})
	s.staleFor = 5
	if _, err := b.Boot(t.Context(), bootISO); err != nil || len(s.inserts) != 1 {
		t.Errorf("inserted %v, %v", s.inserts, err)
	}
}

func TestAMediumThatStaysIsToldWithItsURL(t *testing.T) {
	s := newStandin(t)
	merge(s.tree[slotPath], map[string]any{"Image": isoURL})
	b := s.connect(Options{})
	s.staleFor = 1000
	s.tree[sysPath]["PowerState"] = "Off"
	_, err := b.Boot(t.Context(), bootISO)
	if CauseOf(err) != Slow || ForOperator(err) || !strings.Contains(err.Error(), isoURL) || len(s.inserts) != 0 {
		t.Errorf("inserted %v, %v", s.inserts, err)
	}
}

func TestAForeignMediumIsAskedAbout(t *testing.T) {
	const theirs = "http://198.51.100.9/os.iso"
	s := newStandin(t)
	merge(s.tree[slotPath], map[string]any{"Inserted": true, "ConnectedVia": "URI", "Image": theirs})
	b := s.connect(Options{})
	_, err := b.Boot(t.Context(), bootISO)
	if CauseOf(err) != ForeignMedium || !ForOperator(err) || !strings.Contains(err.Error(), theirs) || len(s.changes()) != 0 {
		t.Fatalf("changed %v, %v", s.changes(), err)
	}
	allowed := bootISO
	allowed.EjectForeign = true
	if _, err := b.Boot(t.Context(), allowed); err != nil || len(s.boots) != 1 {
		t.Errorf("booted %v, %v", s.boots, err)
	}
}

func TestALeftoverWithoutAURLIsEjected(t *testing.T) {
	s := newStandin(t)
	merge(s.tree[slotPath], map[string]any{"Inserted": true, "ConnectedVia": "Applet"})
	if _, err := s.connect(Options{}).Boot(t.Context(), bootISO); err != nil || len(s.boots) != 1 {
		t.Errorf("booted %v, %v", s.boots, err)
	}
}

func TestAnInsertIsFittedToWhatItsRefusalNames(t *testing.T) {
	for name, tc := range map[string]struct {
		refuse func(body map[string]any) (int, string, string)
		row    string
		want   Working
	}{
		"a missing parameter": {
			refuse: func(body map[string]any) (int, string, string) {
				if body["TransferProtocolType"] != "HTTP" {
					return http.StatusBadRequest, "Base.1.8.ActionParameterMissing", "The action InsertMedia requires the parameter TransferProtocolType"
				}
				return 0, "", ""
			},
			want: Working{Fields: []quirk.Field{"TransferProtocolType"}, Scheme: "http"},
		},
		"two missing ones": {
			refuse: func(body map[string]any) (int, string, string) {
				for _, f := range []string{"UserName", "Password"} {
					if body[f] != "none" {
						return http.StatusBadRequest, "Base.1.8.ActionParameterMissing", "missing " + f
					}
				}
				return 0, "", ""
			},
			want: Working{Fields: []quirk.Field{"UserName", "Password"}, Scheme: "http"},
		},
		"one too many": {
			row: "  media: {fields: [Inserted, WriteProtected]}",
			refuse: func(body map[string]any) (int, string, string) {
				for _, f := range []string{"Inserted", "WriteProtected"} {
					if body[f] != nil {
						return http.StatusBadRequest, "Base.1.4.PropertyUnknown", "The property " + f + " is not in the list of valid properties"
					}
				}
				return 0, "", ""
			},
			want: Working{Fields: []quirk.Field{}, Scheme: "http"},
		},
		"https only": {
			refuse: func(body map[string]any) (int, string, string) {
				if !strings.HasPrefix(body["Image"].(string), "https:") {
					return http.StatusBadRequest, "Base.1.8.ResourceAtUriInUnknownFormat", "unknown format"
				}
				return 0, "", ""
			},
			want: Working{Scheme: "https"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			s.onInsert = tc.refuse
			o := Options{}
			if tc.row != "" {
				o.Quirks = rows(t, tc.row)
			}
			out, err := s.connect(o).Boot(t.Context(), bootISO)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Slot, tc.want.Target = slotPath, "Cd"
			if diff := cmp.Diff(tc.want, out.Working); diff != "" {
				t.Error(diff)
			}
			before := len(s.asked)
			if _, err := s.connect(Options{Quirks: o.Quirks, Working: out.Working}).Boot(t.Context(), Want{Goal: BootMedium, URLs: []string{"http://192.0.2.1:8067/m/a2/x.iso", "https://192.0.2.1:8068/m/a2/x.iso"}, EjectForeign: true}); err != nil {
				t.Fatal(err)
			}
			inserts := strings.Count(strings.Join(s.asked[before:], "\n"), "InsertMedia")
			if inserts != 1 {
				t.Errorf("what had worked took %d inserts the second time, want 1", inserts)
			}
		})
	}
}

func TestTheNextSlotIsTriedAndTheFirstLeftEmpty(t *testing.T) {
	s := newStandin(t)
	s.addSlot("0", "CD") // sorts first
	s.tree[mgrPath+"/VirtualMedia"]["Members"] = []any{ref(slotPath), ref(mgrPath + "/VirtualMedia/0")}
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/0/Actions/VirtualMedia.InsertMedia") {
			refuseWith(w, http.StatusMethodNotAllowed, "Base.1.0.OperationNotAllowed", "for the viewer only")
			return true
		}
		return false
	}
	out, err := s.connect(Options{}).Boot(t.Context(), bootISO)
	if err != nil || out.Working.Slot != slotPath || s.boots[0] != "Cd "+isoURL {
		t.Errorf("booted %v from %s, %v", s.boots, out.Working.Slot, err)
	}
}

func TestARefusalSaysWhatToDo(t *testing.T) {
	for name, tc := range map[string]struct {
		status   int
		id, text string
		want     Cause
		operator bool
		sentence string
	}{
		"licence":    {http.StatusBadRequest, "iLO.2.14.LicenseKeyRequired", "A license key is required", Licence, true, "licence missing"},
		"oem":        {http.StatusForbidden, "SMC.1.0.OemLicenseNotPassed", "Not licensed", Licence, true, "boot this host by PXE"},
		"media off":  {http.StatusBadRequest, "iLO.2.14.VirtualMediaIsDisabled", "off", MediaOff, true, "switch them on"},
		"NFS only":   {http.StatusBadRequest, "iBMC.1.0.FileTransferProtocolMismatch", "protocol", Scheme, true, "http or https"},
		"rights":     {http.StatusForbidden, "Base.1.0.InsufficientPrivilege", "no", Rights, true, "administrator"},
		"it is hurt": {http.StatusInternalServerError, "Base.1.0.InternalError", "hurt", Refused, false, "InternalError: hurt"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			s.onInsert = func(map[string]any) (int, string, string) { return tc.status, tc.id, tc.text }
			_, err := s.connect(Options{}).Boot(t.Context(), bootISO)
			if CauseOf(err) != tc.want || ForOperator(err) != tc.operator || !strings.Contains(err.Error(), tc.sentence) || len(s.boots) != 0 {
				t.Errorf("cause %s, operator %t: %v", CauseOf(err), ForOperator(err), err)
			}
		})
	}
}
