package recipe

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNoSecretIsShownOfAnyFamily gives every family its order, whose secrets
// are known, and the token of its attempt, which stands in the URLs.
func TestNoSecretIsShownOfAnyFamily(t *testing.T) {
	for _, r := range Builtin().Recipes() {
		v := values()
		v.Secrets = map[string]string{"hash": "$6$salt$HASH", "token": "t0ken-of-the-site"}
		v.URL.Booted = "http://10.1.0.5:8067/a/T0KENOFATTEMPT/booted"
		out, err := r.Render(v, orders[r.Config.Format])
		if err != nil {
			t.Fatal(err)
		}
		before := string(asText(out))
		shown := string(asText(Mask(out, []string{v.Secrets["hash"], v.Secrets["token"], "T0KENOFATTEMPT"})))
		for _, secret := range []string{"HASH", "t0ken-of-the-site", "T0KENOFATTEMPT"} {
			if strings.Contains(shown, secret) {
				t.Errorf("%s shows %s:\n%s", r.Family, secret, shown)
			}
		}
		if string(asText(out)) != before {
			t.Errorf("%s: the rendering was changed", r.Family)
		}
		for _, d := range Mask(out, nil).Documents {
			if d.Type == ignitionType && !json.Valid(d.Content) {
				t.Errorf("%s: %s is no longer JSON:\n%s", r.Family, d.Name, d.Content)
			}
		}
	}
}

func TestMaskCoversWhatStandsUnderTheNameOfASecret(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"maps", `{"users": [{"name": "ops", "passwd": "$6$x", "lock_passwd": true, "ssh_authorized_keys": ["ssh-ed25519 A"]}]}`,
			`{"users": [{"name": "ops", "passwd": "********", "lock_passwd": true, "ssh_authorized_keys": ["ssh-ed25519 A"]}]}`},
		{"lists", `{"tokens": ["a", "b\"c"], "keyboard": "us", "public_key": "p"}`, `{"tokens": ["********", "********"], "keyboard": "us", "public_key": "p"}`},
		{"keys of Palette and Talos", `{"edgeHostToken": "x", "ca": {"crt": "C", "key": "K"}, "secretboxEncryptionSecret": "s", "note": ""}`,
			`{"edgeHostToken": "********", "ca": {"crt": "C", "key": "********"}, "secretboxEncryptionSecret": "********", "note": ""}`},
		{"digits, and maps under such a name", `{"password": 1234, "pin": 5, "secret": {"name": "n", "public_key": "p", "more": ["m"]}}`,
			`{"password": ********, "pin": 5, "secret": {"name": "********", "public_key": "p", "more": ["********"]}}`},
		{"behind a header, and a second document", "#cloud-config\n{\"password\": \"x\"}\n---\n{\"secret\": \"y\"}\n", "#cloud-config\n{\"password\": \"********\"}\n---\n{\"secret\": \"********\"}\n"},
		{"a preseed", "d-i passwd/root-password password  geheim und so\nd-i passwd/make-user boolean false\nd-i time/zone string UTC\n",
			"d-i passwd/root-password password  ********\nd-i passwd/make-user boolean false\nd-i time/zone string UTC\n"},
		{"a locked account", "d-i passwd/root-password-crypted password !\n", "d-i passwd/root-password-crypted password !\n"},
		{"a kickstart", "rootpw --iscrypted $6$x\nuser --name=ops --password='a b' --groups=wheel\nrootpw --lock\npart / --encrypted --passphrase=geheim --grow\n",
			"rootpw --iscrypted ********\nuser --name=ops --password=******** --groups=wheel\nrootpw --lock\npart / --encrypted --passphrase=******** --grow\n"},
		{"nothing", "#!/bin/sh\necho ${x} { done\n", "#!/bin/sh\necho ${x} { done\n"},
	}
	for _, tt := range tests {
		got := Mask(Rendered{Documents: []Document{{Name: "x", Content: []byte(tt.text)}}}, nil)
		if diff := cmp.Diff(tt.want, string(got.Documents[0].Content)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestMaskKnowsASecretInEveryForm(t *testing.T) {
	const secret = `a"b\c d/é`
	quoted, err := toJSON(secret)
	if err != nil {
		t.Fatal(err)
	}
	in := Rendered{
		Documents: []Document{{Content: []byte("raw " + secret + " json " + string(quoted) + " url " + dataURL(secret) + " b64 YSJiXGMgZC/DqQ== ab abc")}},
		Medium:    []Change{{Args: []string{"x=" + "longer-secret"}, Drop: []string{"quiet"}}},
		Args:      []string{"y=longer-secret"},
	}
	got := Mask(in, []string{secret, "longer", "longer-secret", "abc", ""})
	const want = `raw ******** json "********" url data:,******** b64 ******** ab abc`
	if diff := cmp.Diff(want, string(got.Documents[0].Content)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.Equal(got.Args, []string{"y=********"}) || got.Medium[0].Args[0] != "x=********" || got.Medium[0].Drop[0] != "quiet" {
		t.Errorf("arguments are %+v", got)
	}
}

// FuzzMask keeps what is no secret, whatever the document.
func FuzzMask(f *testing.F) {
	f.Add([]byte(`{"a": {"password": "x"}}`))
	f.Add([]byte("rootpw x\n{\"token\": \"\\u0041\"} {"))
	f.Fuzz(func(t *testing.T, content []byte) {
		got := newMask([]string{"sesame"}).document(content)
		if strings.Contains(string(got), "sesame") {
			t.Errorf("%q shows the secret", got)
		}
	})
}
