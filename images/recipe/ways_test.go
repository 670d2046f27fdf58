package recipe

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// server answers every call with one status, and says by which method the first
// came.
func server(t *testing.T, status int) (url string, called <-chan string) {
	t.Helper()
	methods := make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods <- r.Method
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/a/tok/x", methods
}

func TestWaysAreInOrderOfPreference(t *testing.T) {
	tests := []struct {
		family string
		traits []string
		want   string
	}{
		{"kairos", nil, "netboot media uefi-http"},
		{"kairos", []string{"fips"}, "media uefi-http"},
		{"kairos", []string{"content"}, "media uefi-http"},
		{"kairos-uki", nil, "media uefi-http"},
		{"debian", nil, "media"},
		{"debian-netboot", nil, "netboot"},
		{"ubuntu", nil, "netboot media"},
		{"anaconda", nil, "netboot media"},
		{"flatcar", nil, "netboot"},
		{"coreos", nil, "netboot media"},
		{"talos", nil, "netboot media"},
		{"disk", nil, "write"},
		{"scout", nil, "netboot"},
	}
	for _, tt := range tests {
		var can []string
		ways := named(t, tt.family).Ways(tt.traits...)
		for _, w := range ways {
			if len(w.WhyNot) == 0 {
				can = append(can, string(w.Transport))
			} else if strings.Join(w.WhyNot, "") == "" {
				t.Errorf("%s: nobody says why not by %s", tt.family, w.Transport)
			}
		}
		if diff := cmp.Diff(tt.want, strings.Join(can, " ")); diff != "" || len(ways) != len(transports) {
			t.Errorf("%s %v: %d ways (-want +got):\n%s", tt.family, tt.traits, len(ways), diff)
		}
	}
}

func TestWhyNotSaysIt(t *testing.T) {
	tests := []struct {
		family    string
		transport Transport
		traits    []string
		want      string
	}{
		{"kairos", Netboot, []string{"fips"}, "has no livenet"},
		{"kairos", Write, nil, "is no image of a disk"},
		{"disk", Medium, nil, "is no ISO"},
		{"disk", Netboot, nil, "has no kernel"},
		{"debian", UEFIHTTP, nil, "on drives only"},
		{"kairos", "pigeon", nil, `there is no transport "pigeon"`},
		{"kairos", Netboot, nil, ""},
	}
	for _, tt := range tests {
		err := named(t, tt.family).WhyNot(tt.transport, tt.traits...)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s by %s: got %v, want %q", tt.family, tt.transport, err, tt.want)
		}
	}
}

func TestEveryFamilyInstalls(t *testing.T) {
	for _, r := range Builtin().Recipes() {
		if err := r.Installs(); err != nil {
			t.Errorf("%s: %v", r.Family, err)
		}
	}
	if err := (Recipe{}).Installs(); err == nil {
		t.Error("an image of no family installs")
	}
}

func TestARecipeSaysHowItsWaysAreGone(t *testing.T) {
	for text, want := range map[string]string{
		"ways: [write]\n":                         "ways: write needs the form disk",
		"ways: [pigeon]\n":                        `ways: "pigeon" is not one of`,
		"not: {pigeon: x}\n":                      `not: "pigeon" is not one of`,
		"traits: [{name: a, not: {pigeon: x}}]\n": `traits: a: "pigeon" is not one of`,
	} {
		if _, err := load(t, map[string]string{"x.yaml": siteRecipe + text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
