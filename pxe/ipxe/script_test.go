package ipxe

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden scripts")

const base = "http://192.0.2.1:8067"

func TestScriptsAreAsReviewed(t *testing.T) {
	scripts := map[string]func() (string, error){
		"netboot": Netboot{
			Say:     "muster: installing edge-1 (attempt 2)",
			Kernel:  base + "/boot/a-1/tok3n/kernel",
			Initrds: []string{base + "/boot/a-1/tok3n/initrd", base + "/boot/a-1/tok3n/config"},
			Cmdline: "root=live:http://192.0.2.1:8067/i.squashfs  console=ttyS0,115200 rd.cos.disable",
		}.Script,
		"localdisk": func() (string, error) { return LocalDisk(base + "/") },
		"wait":      func() (string, error) { return Wait("waiting for approval", time.Minute, base+"/boot/x/s.ipxe") },
		"refuse":    func() (string, error) { return Refuse("this attempt is over"), nil },
		"autoexec":  func() (string, error) { return Autoexec(base + "/boot/x/s.ipxe") },
	}
	for name, write := range scripts {
		got, err := write()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := filepath.Join("testdata", name+".ipxe")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTextCannotBecomeACommand(t *testing.T) {
	for _, c := range []struct {
		name string
		n    Netboot
		want string
	}{
		{"a line in the URL", Netboot{Kernel: base + "/k\npoweroff"}, "kernel: "},
		{"a space in the URL", Netboot{Kernel: base + "/k poweroff"}, "kernel: "},
		{"a setting in the URL", Netboot{Kernel: base + "/${mac}"}, "kernel: "},
		{"no URL", Netboot{}, "kernel: "},
		{"a relative URL", Netboot{Kernel: "/k"}, "kernel: "},
		{"another scheme", Netboot{Kernel: "tftp://192.0.2.1/k"}, "kernel: "},
		{"an initrd's setting", Netboot{Kernel: base + "/k", Initrds: []string{base, "http://${x}/"}}, "initrd 2: "},
		{"a second line", Netboot{Kernel: base + "/k", Cmdline: "a\nb"}, "kernel command line: "},
		{"a setting", Netboot{Kernel: base + "/k", Cmdline: "a=${mac}"}, "kernel command line: "},
		{"a command", Netboot{Kernel: base + "/k", Cmdline: "a && poweroff"}, "kernel command line: "},
		{"an alternative", Netboot{Kernel: base + "/k", Cmdline: "a || poweroff"}, "kernel command line: "},
		{"a comment", Netboot{Kernel: base + "/k", Cmdline: "a # b"}, "kernel command line: "},
		{"no ASCII", Netboot{Kernel: base + "/k", Cmdline: "a=ä"}, "kernel command line: "},
		{"too long", Netboot{Kernel: base + "/k", Cmdline: strings.Repeat("x", 2047)}, "kernel command line: "},
	} {
		got, err := c.n.Script()
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q...; script:\n%s", c.name, err, c.want, got)
		}
	}
}

func TestSentenceStaysASentence(t *testing.T) {
	for in, want := range map[string]string{
		"waiting for approval":        "waiting for approval",
		"two\nlines\r\n":              "two lines",
		"a ${mac} || poweroff && # x": "a ?{mac} ? poweroff ? ? x",
		"Zürich":                      "Z?rich",
	} {
		if got := sentence(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestEveryNetbootLineNamesTheInterface(t *testing.T) {
	s, err := Netboot{Kernel: base + "/k"}.Script()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s, "kernel "+base+"/k BOOTIF=01-${netX/mac:hexhyp} || goto failed\n") {
		t.Errorf("no BOOTIF:\n%s", s)
	}
}

// FuzzSentence looks for text that ends its line or starts a setting.
func FuzzSentence(f *testing.F) {
	f.Add("a ${mac} || b\n# c")
	f.Fuzz(func(t *testing.T, s string) {
		got := sentence(s)
		if strings.ContainsAny(got, "\n\r$") || checkWords(got) != nil {
			t.Errorf("%q became %q", s, got)
		}
	})
}
