package images

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSumReadsWhatSha256sumWrites(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("B", 64)
	list := "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# x.iso: 3 bytes\n" +
		a + "  x.iso\n" + b + " *./dir/y z.iso\r\nSHA256 (tagged.iso) = " + b + "\n" + a + "  twice.iso\n" + b + "  twice.iso\nshort  s.iso\n"
	for name, want := range map[string]string{
		"x.iso": a, "/srv/x.iso": a, "https://h/pub/x.iso": a, "y z.iso": strings.ToLower(b), "tagged.iso": strings.ToLower(b),
		"twice.iso": "", "s.iso": "", "none.iso": "", "": "",
	} {
		if got, err := Sum(list, name); got != want || (err == nil) != (want != "") {
			t.Errorf("Sum(%q) = %q, %v", name, got, err)
		}
	}
}

func TestSumAgreesWithSha256sum(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "an image.iso")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{name}, {"-b", name}, {"--tag", name}} {
		out, err := exec.CommandContext(t.Context(), "sha256sum", args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Sum(string(out), name)
		if want := "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"; got != want {
			t.Errorf("sha256sum %q: %q, %v", args, got, err)
		}
	}
}

// signer is a minisign key pair, made by minisign itself.
type signer struct{ dir, public string }

func newSigner(t *testing.T) signer {
	t.Helper()
	if _, err := exec.LookPath("minisign"); err != nil && os.Geteuid() != 0 {
		t.Skip("minisign is not installed")
	}
	s := signer{dir: t.TempDir()}
	s.run(t, "-G", "-W", "-p", "key.pub", "-s", "key.sec")
	public, err := os.ReadFile(filepath.Join(s.dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	s.public = string(public)
	return s
}

func (s signer) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "minisign", args...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("minisign: %v (install it with make lab)\n%s", err, out)
	}
}

func (s signer) sign(t *testing.T, file string, more ...string) string {
	t.Helper()
	out := filepath.Join(s.dir, "sig")
	s.run(t, append([]string{"-S", "-W", "-s", "key.sec", "-m", file, "-x", out}, more...)...)
	signature, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(signature)
}

func TestOnlyProvenContentIsKept(t *testing.T) {
	ours, others := newSigner(t), newSigner(t)
	image := makeISO(t, "COS_LIVE", kairos())
	another := makeISO(t, "OTHER", kairos())
	good := ours.sign(t, image)
	lines := strings.SplitAfter(ours.public, "\n")
	const sum = "0000000000000000000000000000000000000000000000000000000000000000"
	tests := []struct {
		name  string
		proof Proof
		want  string // empty: it is kept
	}{
		{"signed", Proof{Key: ours.public, Signature: good}, ""},
		{"signed, key as one line", Proof{Key: strings.TrimSpace(lines[1]), Signature: good}, ""},
		{"signed by another key", Proof{Key: ours.public, Signature: others.sign(t, image)}, "the signature was made with key"},
		{"signed over another content", Proof{Key: ours.public, Signature: ours.sign(t, another)}, ErrUnproven.Error()},
		{"trusted comment changed", Proof{Key: ours.public, Signature: strings.Replace(good, "trusted comment: timestamp", "trusted comment: Timestamp", 1)}, ErrUnproven.Error()},
		{"old kind of signature", Proof{Key: ours.public, Signature: ours.sign(t, image, "-l")}, "sign again with minisign -H"},
		{"no key", Proof{Signature: good}, "give both"},
		{"no signature", Proof{Key: ours.public}, "give both"},
		{"a key that is none", Proof{Key: "x", Signature: good}, "read the minisign key"},
		{"a signature that is none", Proof{Key: ours.public, Signature: "x"}, "read the minisign signature"},
		{"another sum", Proof{SHA256: sum}, ", " + sum + " was expected"},
		{"another sum, signed", Proof{SHA256: sum, Key: ours.public, Signature: good}, ErrUnproven.Error()},
		{"a sum that is none", Proof{SHA256: "abc"}, "has not 64 hexadecimal digits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir)
			f, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			i, err := c.Add(t.Context(), f, AddOptions{Proof: tt.proof})
			if tt.want == "" {
				if err != nil || i.Family != "kairos" {
					t.Errorf("got %+v, %v", i, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if left := tree(t, dir); len(left) > 0 || len(c.List()) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestTheExpectedSumMayBeInCapitals(t *testing.T) {
	c := open(t, t.TempDir())
	image := makeISO(t, "COS_LIVE", kairos())
	i := add(t, c, image, "")
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := c.Add(t.Context(), f, AddOptions{Proof: Proof{SHA256: strings.ToUpper(i.Digest)}}); err != nil {
		t.Error(err)
	}
	if _, err := c.Add(t.Context(), strings.NewReader("x"), AddOptions{Proof: Proof{SHA256: i.Digest}}); !errors.Is(err, ErrUnproven) {
		t.Errorf("another content: %v", err)
	}
}

func FuzzSum(f *testing.F) {
	sum := strings.Repeat("a", 64)
	f.Add(sum+"  x.iso\n", "x.iso")
	f.Add("SHA256 (x.iso) = "+sum, "/a/x.iso")
	f.Add("\\"+sum+"  a\\nb\n", "a\nb")
	f.Fuzz(func(t *testing.T, list, name string) {
		if digest, err := Sum(list, name); err == nil && !isDigest(digest) {
			t.Errorf("Sum(%q, %q) = %q", list, name, digest)
		}
	})
}
