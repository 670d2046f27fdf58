package recipe

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestATemplateSeesValuesAndCallsItsFunctions(t *testing.T) {
	v := values().filled()
	v.Secrets["odd"] = "a: b # \"c\" 'd' \\ {{x}}"
	tests := []struct {
		in             language
		template, want string
	}{
		{inYAML, `{{.Host.Name}} {{.Site.TimeZone}} {{.Disk.Path}} {{.Disk.Bytes}}`, "rack4-u12 Europe/Berlin /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1 107374182400"},
		{inYAML, `{{range .NICs}}{{if .Booted}}{{.MAC}}{{end}}{{end}}`, "52:54:00:00:00:12"},
		{inYAML, `{{range $name, $value := .Site.Values}}{{$name}}={{$value}} {{end}}`, "mirror=deb.example.org ntp=10.1.0.3 "},
		{inYAML, `{{quote .Secrets.odd}}`, `"a: b # \"c\" 'd' \\ {{x}}"`},
		{inPreseed, `{{quote .Secrets.odd}}`, v.Secrets["odd"]},
		{verbatim, `{{.Secrets.odd}}`, v.Secrets["odd"]},
		{inShell, `{{quote .Secrets.hash}} {{shell "a b"}}`, `'$6$salt$HASH' 'a b'`},
		{inYAML, `{{json .Host.MACs}} {{json .Handoff.callhome.token}}`, `["52:54:00:00:00:12"] "tok"`},
		{inYAML, `{{b64 .Secrets.odd}}`, "YTogYiAjICJjIiAnZCcgXCB7e3h9fQ=="},
		{inYAML, `{{upper .Host.Serial}}{{lower "ABC"}}{{default "x" .Network.Address}}{{join "," .Host.MACs "b"}}`, "S1abcx52:54:00:00:00:12,b"},
		{inYAML, `{{with index .Site.Values "none"}}{{.}}{{else}}no{{end}}{{/* nothing */}}`, "no"},
		{inYAML, `{{$n := len .NICs}}{{if and (ge $n 2) (not .Label)}}{{$n}}{{end}}`, "2"},
	}
	for _, tt := range tests {
		if got, err := execute("template", tt.template, tt.in, v); err != nil || got != tt.want {
			t.Errorf("%s gives %q, %v, want %q", tt.template, got, err, tt.want)
		}
	}
}

func TestATemplateThatIsWrongIsToldWhere(t *testing.T) {
	tests := []struct{ template, want string }{
		{"a\n  b: {{.Site.Values.rack}}", `template: line 2, column 13: <.Site.Values.rack>: there is no value "rack"`},
		{"{{.Hots.Name}}", "template: line 1, column 8: <.Hots.Name>: there is no value Hots"},
		{"\n{{exec .Host.Name}}", "template: line 2: there is no function exec; there are and, b64, default"},
		{"{{printf \"%999999999d\" 1}}", "line 1, column 3: there is no function printf"},
		{"{{_printed .Host.Name}}", "there is no function _printed"},
		{"{{html (print 1)}}", "there is no function"},
		{"{{.Host", "template: line 1: unclosed action"},
		{"{{define \"x\"}}x{{end}}", "define and block are not for templates"},
		{"{{template \"t\" .}}", `line 1, column 12: {{template "t" .}} is not for templates of muster`},
		{"{{range 1000000000}}x{{end}}", "range goes through lists and maps, not through a int"},
		{"{{.Host}}", "it is not a single value; name one in it, or put json before it"},
		{"{{.Host.MACs}}", "it is not a single value"},
		{"{{.Handoff.x}}", `there is no value "x"`},
		{"{{.Secrets.odd}}", `the value holds '"'; put quote or shell before it`},
		{"{{shell .Secrets.odd}}", `a shell word may not hold "\"" here`},
		{"{{shell .Secrets.lines}}", `it may not hold the control character '\n'`},
		{strings.Repeat("{{if true}}", 100) + strings.Repeat("{{end}}", 100), "nested more than"},
		{strings.Repeat("{{range $.NICs}}", 20) + "x" + strings.Repeat("{{end}}", 20), "more than 10000 rounds"},
		{"{{$a := \"aaaaaaaa\"}}" + strings.Repeat("{{$a = join \"\" $a $a}}", 30), "a value has"},
		{"{{range .NICs}}" + strings.Repeat("x", maxTemplate-30) + "{{end}}", ""},
		{"{{range $.NICs}}{{range $.NICs}}{{range $.NICs}}" + strings.Repeat("x", maxTemplate-100) + "{{end}}{{end}}{{end}}", "it becomes larger than"},
		{strings.Repeat("x", maxTemplate+1), "a template has at most"},
	}
	v := values()
	v.Secrets["odd"], v.Secrets["lines"] = `"; reboot`, "a\nb"
	for _, tt := range tests {
		began := time.Now()
		_, err := execute("template", tt.template, inYAML, v)
		if tt.want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80q gives %v, want %q", tt.template, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "reboot") {
			t.Errorf("%.80q shows the secret: %v", tt.template, err)
		}
		if time.Since(began) > 10*time.Second {
			t.Errorf("%.80q took %s", tt.template, time.Since(began))
		}
	}
}

// FuzzAValueStaysWhereItWasPut has a hostile value in every place that the
// guide names, and asks each language's own reader where it ended up.
func FuzzAValueStaysWhereItWasPut(f *testing.F) {
	for _, s := range []string{"plain", "a\nb: c", `"`, `'`, "`reboot`", "$(reboot)", "a # b", "- a", "a: ", `\`, "%end", "\u2028", "{{.Host.ID}}", "|", "\x00", "*", "&", ";", "é", "\xff", "a\rb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		data := Values{Secrets: map[string]string{"x": value}}
		checkYAML(t, value, data)
		checkLines(t, value, data)
	})
}

func checkYAML(t *testing.T, value string, data Values) {
	t.Helper()
	for _, template := range []string{"before: 1\nkey: {{quote .Secrets.x}}\nafter: 2\n", "before: 1\nkey: \"{{.Secrets.x}}\"\nafter: 2\n", "{\"before\": 1, \"key\": {{json .Secrets.x}}, \"after\": 2}"} {
		out, err := execute("template", template, inYAML, data)
		if err != nil {
			continue // refused is kept, too
		}
		var doc map[string]any
		if err := yaml.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatalf("%q broke %q: %v", value, out, err)
		}
		if len(doc) != 3 || doc["key"] != value {
			t.Errorf("%q came out as %v of %q", value, doc, out)
		}
	}
}

func checkLines(t *testing.T, value string, data Values) {
	t.Helper()
	for _, tt := range []struct {
		in       language
		template string
	}{
		{inPreseed, "d-i a/b string {{quote .Secrets.x}}\nd-i c/d string e\n"},
		{inPreseed, "d-i a/b string {{.Secrets.x}}\nd-i c/d string e\n"},
		{inShell, "rootpw {{quote .Secrets.x}}\nd-i c/d string\n"},
		{inShell, "echo {{.Secrets.x}}\nd-i c/d string\n"},
	} {
		out, err := execute("template", tt.template, tt.in, data)
		if err != nil {
			continue
		}
		if lines := preseedLines(out); len(lines) != 2 || lines[1].question != "c/d" {
			t.Errorf("%q made %q of it", value, out)
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(strings.SplitN(out, "\n", 2)[0], "rootpw "), "\n")
		if tt.in == inShell && strings.HasPrefix(out, "rootpw") && inner != "'"+value+"'" {
			t.Errorf("%q became the word %q", value, inner)
		}
	}
}

func TestAShellTakesAQuotedValueForOneWord(t *testing.T) {
	for _, value := range []string{"plain", "$(reboot)", "`reboot`", "a;b", "a && b", "a|b", "* ?", "~", "#x", "é", "$6$salt$HASH", "-n", "!!"} {
		word, err := shell(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{"dash", "bash"} {
			out, err := exec.CommandContext(t.Context(), program, "-c", `for w in `+string(word)+`; do printf '<%s>' "$w"; done`).Output()
			if err != nil || string(out) != "<"+value+">" {
				t.Errorf("%s reads %s as %q, %v", program, word, out, err)
			}
		}
	}
}

func TestCheckSourceTellsAtTheOrderWhatWouldFailAtTheHost(t *testing.T) {
	tests := []struct {
		name, family string
		source       Source
		want         string
	}{
		{"nothing", "kairos", Source{}, ""},
		{"a disk that is not known yet", "kairos", Source{Template: "#cloud-config\nx: {{quote .Disk.Serial}}\ny: {{(index .NICs 0).MAC}}\n"}, ""},
		{"a value nobody gave", "kairos", Source{Template: "#cloud-config\nx: {{.Site.Values.rack}}"}, `template: line 2, column 11: <.Site.Values.rack>: there is no value "rack"`},
		{"one in config", "kairos", Source{Config: map[string]any{"a": []any{map[string]any{"b": "{{.Secrets.none}}"}}}}, `config.a[0].b: line 1, column 11: <.Secrets.none>: there is no value "none"`},
		{"no header", "kairos", Source{Template: "stylus: {}\n"}, "template: line 1: it must begin with the line #cloud-config"},
		{"a header of Kairos", "kairos", Source{Template: "#kairos-config\nstylus: {}\n"}, ""},
		{"bad YAML", "kairos", Source{Template: "#cloud-config\na: [1\nb: 2\n"}, "template: filled in, it is no YAML: line 3, column 1"},
		{"a key twice", "kairos", Source{Template: "#cloud-config\na: 1\na: 2\n"}, `"a" already defined`},
		{"a list", "kairos", Source{Template: "#cloud-config\n- a\n"}, "it is no YAML map: line 2"},
		{"bad YAML with a secret", "kairos", Source{Template: "#cloud-config\na: {{quote .Secrets.token}}\nb: [1\n"}, "sequence end"},
		{"two documents", "kairos", Source{Template: "#cloud-config\na: 1\n---\nb: 2\n"}, "more than one YAML document"},
		{"an alias", "kairos", Source{Template: "#cloud-config\na: &x 1\nb: *x\n"}, "line 3: aliases are not taken"},
		{"a stage that is a word", "kairos", Source{Config: map[string]any{"stages": "x"}}, "stages must be a map"},
		{"a config from elsewhere", "kairos", Source{Template: "#cloud-config\nconfig_url: http://x\n"}, "muster decides config_url"},
		{"config for a preseed", "debian", Source{Config: map[string]any{"a": 1}}, "config: preseed does not consist of maps; give a template instead"},
		{"another disk for Debian", "debian", Source{Template: "#x\nd-i partman-auto/disk string /dev/sda\n"}, "template: filled in, line 2: muster decides partman-auto/disk"},
		{"half a line", "debian", Source{Template: "d-i\n"}, "has not the form: owner question type answer"},
		{"a line that goes on", "debian", Source{Template: "d-i a/b string c \\\n"}, "it ends in a backslash"},
		{"answers from elsewhere", "debian-netboot", Source{Template: "d-i preseed/include string http://x/y\n"}, "template: filled in, line 1: preseed/include is not taken"},
		{"another disk for anaconda", "anaconda", Source{Template: "lang de\nclearpart --all\n"}, "template: filled in, line 2: muster decides clearpart"},
		{"another name for anaconda", "anaconda", Source{Template: "network --bootproto=dhcp --hostname=x\n"}, "muster decides network"},
		{"no end of a section", "anaconda", Source{Template: "%post\necho\n"}, "a section %post has no %end"},
		{"a file from elsewhere", "anaconda", Source{Template: "%include http://x/y\n"}, "%include is not taken"},
		{"another disk for Ubuntu", "ubuntu", Source{Config: map[string]any{"autoinstall": map[string]any{"storage": map[string]any{"layout": map[string]any{"match": map[string]any{}}}}}}, "muster decides autoinstall.storage.layout.match"},
		{"a disk of its own for Ubuntu", "ubuntu", Source{Config: map[string]any{"autoinstall": map[string]any{"storage": map[string]any{"config": []any{map[string]any{"type": "disk", "path": "/dev/sda"}}}}}}, "write path: {{.Disk.Path}}"},
		{"ours for Ubuntu", "ubuntu", Source{Config: map[string]any{"autoinstall": map[string]any{"storage": map[string]any{"config": []any{map[string]any{"type": "disk", "path": "{{.Disk.Path}}"}}}}}}, ""},
		{"an old Ignition", "flatcar", Source{Template: `{"ignition": {"version": "2.2.0"}}`}, "is not one of version 3"},
		{"a host name for Ignition", "coreos", Source{Config: map[string]any{"storage": map[string]any{"files": []any{map[string]any{"path": "/etc/hostname"}}}}}, "comes from the manifest's column name"},
		{"half a machine for Talos", "talos", Source{}, "Talos needs a machine configuration"},
		{"another disk for Talos", "talos", Source{Template: "machine: {install: {disk: /dev/sda}}"}, "muster decides machine.install.disk"},
		{"a phone_home of its own", "disk", Source{Template: "#cloud-config\nphone_home: {url: http://x}\n"}, "muster decides phone_home"},
		{"words for a ramdisk", "scout", Source{Template: "x"}, "reads no configuration"},
	}
	for _, tt := range tests {
		v := Values{Site: values().Site, Host: Identity{Name: "rack4-u12", Serial: "S1"}}
		v.Secrets = map[string]string{"token": "geheim"}
		err := named(t, tt.family).CheckSource(tt.source, v)
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the secret is shown: %v", tt.name, err)
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestTheFamilysTemplateLiesBelowTheOrders(t *testing.T) {
	b, err := load(t, map[string]string{"plant7.yaml": siteRecipe + "template: |\n  #cloud-config\n  ntp: {servers: [{{quote .Site.Values.ntp}}]}\n  site: {{quote .Site.Name}}\n"})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := b.Find("plant7")
	out, err := r.Render(values(), Source{Template: "#cloud-config\nsite: mine\n"})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		NTP  struct{ Servers []string }
		Site string
	}
	if err := yaml.Unmarshal(out.Documents[0].Content, &doc); err != nil || doc.Site != "mine" || len(doc.NTP.Servers) != 1 || doc.NTP.Servers[0] != "10.1.0.3" {
		t.Errorf("got %+v, %v", doc, err)
	}
}

// TestTheQuestionOfDebianEndsAtANo runs the installer's own lines with the real
// wget against a server that answers, and is then there or is not.
func TestTheQuestionOfDebianEndsAtANo(t *testing.T) {
	for _, tt := range []struct {
		answers []int
		want    string
	}{
		{[]int{204}, "written after 1"},
		{[]int{403}, "refused after 1"},
		{[]int{409}, "refused after 1"},
		{[]int{410}, "refused after 1"},
		{[]int{503, 500, 204}, "written after 3"},
		{[]int{502, 410}, "refused after 2"},
		{[]int{500}, "refused after 60"},
	} {
		calls := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.answers[min(calls, len(tt.answers)-1)])
			calls++
		}))
		script := strings.ReplaceAll(try, "sleep 5", "true") + " " + s.URL + "/a/tok/x && echo written || echo refused"
		said := peer(t, []byte(script), "sh")
		s.Close() // waits for the calls
		if got := fmt.Sprintf("%s after %d", strings.TrimSpace(said), calls); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.answers, got, tt.want)
		}
	}
}

// TestTheQuestionOfDebianKnowsBothWgets gives it what each prints.
func TestTheQuestionOfDebianKnowsBothWgets(t *testing.T) {
	for said, want := range map[string]string{
		"  HTTP/1.1 410 Gone": "1 calls", // GNU
		"wget: server returned error: HTTP/1.1 403 Forbidden":                "1 calls", // busybox
		"wget: server returned error: HTTP/1.0 503 Service Unavailable":      "60 calls",
		"wget: can't connect to remote host (192.0.2.1): Connection refused": "60 calls",
		"wget: server returned error: HTTP/1.1 408 Request Timeout":          "60 calls",
		"  HTTP/1.1 502 Bad Gateway\n  Content-Length: 410":                  "60 calls",
	} {
		log := filepath.Join(t.TempDir(), "calls")
		script := "wget() { echo >> " + log + "; printf '%b\\n' \"" + said + "\" >&2; return 1; }; " +
			strings.ReplaceAll(try, "sleep 5", "true") + " http://192.0.2.1/ && echo written"
		out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
		calls, _ := os.ReadFile(log)
		if got := fmt.Sprintf("%d calls", len(calls)); err == nil || got != want {
			t.Errorf("%q: %s, want %s; %v, %s", said, got, want, err, out)
		}
	}
}

// TestNothingRunsBehindANo has poweroff fail a few times.
func TestNothingRunsBehindANo(t *testing.T) {
	for _, end := range []string{refusal, noDisk} {
		script := "poweroff() { echo off; n=$((n+1)); [ $n -lt 3 ] || exit 7; }; sleep() { :; }; false || " + end + "; echo written"
		said, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		if err == nil || strings.Count(string(said), "\noff") != 3 || strings.Contains(string(said), "written") {
			t.Errorf("it said %q, %v", said, err)
		}
	}
}

// TestTheInstalledSystemCallsWithWhatItHas runs the script with curl, with wget
// alone, and with neither.
func TestTheInstalledSystemCallsWithWhatItHas(t *testing.T) {
	for _, lacks := range []string{"none", "curl", "curl wget"} {
		url, called := server(t, 204)
		v := values()
		v.URL.Booted = url
		script, err := fileOf("booted.sh", inShell, v)
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range strings.Fields(lacks) {
			script = strings.ReplaceAll(script, "command -v "+program+" ", "false ")
		}
		if out, err := exec.CommandContext(t.Context(), "bash", "-c", script).CombinedOutput(); err != nil {
			t.Errorf("without %s: %v: %s", lacks, err, out)
			continue
		}
		if got := <-called; got != "POST" {
			t.Errorf("without %s it was a %s", lacks, got)
		}
	}
}

// TestAHostThatShipsPowersOffAtThatWordOnly runs the script as the installed
// system of a host that ships does, against muster's three answers.
func TestAHostThatShipsPowersOffAtThatWordOnly(t *testing.T) {
	for _, lacks := range []string{"none", "curl", "curl wget"} {
		for answer, want := range map[string]string{"200 poweroff\n": "off", "204 ": "", "200 stay\n": "", "410 poweroff\n": ""} {
			status, body, _ := strings.Cut(answer, " ")
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				code, _ := strconv.Atoi(status)
				w.WriteHeader(code)
				io.WriteString(w, body)
			}))
			v := values()
			v.Ship, v.URL.Booted = true, s.URL+"/booted"
			script, err := fileOf("booted.sh", inShell, v)
			if err != nil {
				t.Fatal(err)
			}
			for _, program := range strings.Fields(lacks) {
				script = strings.ReplaceAll(script, "command -v "+program+" ", "false ")
			}
			script = "poweroff() { echo off; }; sleep() { exit; }; " + script
			out, err := exec.CommandContext(t.Context(), "bash", "-c", script).Output()
			if err != nil || strings.TrimSpace(string(out)) != want {
				t.Errorf("without %s, answered %q: it did %q, %v; want %q", lacks, answer, out, err, want)
			}
			s.Close()
		}
	}
}

// TestAnApplianceThatShipsPowersOffAtThatWordOnly runs the line of the stage.
func TestAnApplianceThatShipsPowersOffAtThatWordOnly(t *testing.T) {
	for answer, want := range map[string]string{"poweroff\n": "off", "": ""} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
		v := values()
		v.Ship, v.URL.Booted = true, s.URL+"/booted"
		var doc struct {
			Stages map[string][]struct{ Commands []string }
		}
		if err := yaml.Unmarshal(rendered(t, "kairos", "config", v, Source{}), &doc); err != nil || len(doc.Stages["network"]) == 0 {
			t.Fatalf("%+v, %v", doc, err)
		}
		last := doc.Stages["network"][len(doc.Stages["network"])-1]
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "poweroff() { echo off; }; "+last.Commands[0]).Output()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("answered %q: it did %q, %v; want %q", answer, out, err, want)
		}
		s.Close()
	}
}

func TestEveryTextOfADocumentIsAText(t *testing.T) {
	v := values()
	v.Host.Name = "012"
	var doc map[string]any
	if err := json.Unmarshal(rendered(t, "disk", "meta-data", v, Source{}), &doc); err != nil || doc["local-hostname"] != "012" {
		t.Errorf("the name came out as %v, %v", doc["local-hostname"], err)
	}
}
