package ipxe

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tinkerbell/ipxedust/binary"
)

func TestEveryLoaderThatIsNamedIsThere(t *testing.T) {
	l := NewLoaders()
	for name, magic := range map[string]string{
		"undionly.kpxe": "", "ipxe.efi": "MZ", "snp.efi": "MZ", "localdisk.efi": "MZ",
	} {
		data, ok := l.File(name)
		if !ok || len(data) < 1024 || !bytes.HasPrefix(data, []byte(magic)) {
			t.Errorf("%s: there %t, %d bytes", name, ok, len(data))
		}
	}
	if _, ok := l.File("ipxe.iso"); ok {
		t.Error("ipxe.iso is served")
	}
}

func TestUEFILoadersRunOurScript(t *testing.T) {
	l := NewLoaders()
	for name, original := range map[string][]byte{"ipxe.efi": binary.IpxeEFI, "snp.efi": binary.SNP} {
		if len(l[name]) != len(original) {
			t.Errorf("%s has %d bytes, had %d", name, len(l[name]), len(original))
		}
		if bytes.Count(l[name], []byte(loaderScript)) != 1 || bytes.Contains(l[name], []byte("prompt --key")) {
			t.Errorf("%s does not hold our script alone", name)
		}
		if !bytes.Contains(original, []byte(embeddedStart)) {
			t.Errorf("the original of %s was changed", name)
		}
		differ := 0
		for i := range original {
			if original[i] != l[name][i] {
				differ++
			}
		}
		if size := len(embeddedScript(original)); differ > size {
			t.Errorf("%s differs in %d bytes, the script has %d", name, differ, size)
		}
	}
}

// embeddedScript is the part of a loader that withScript replaces.
func embeddedScript(loader []byte) []byte {
	return loader[bytes.Index(loader, []byte(embeddedStart)) : bytes.Index(loader, []byte(embeddedEnd))+len(embeddedEnd)]
}

func TestUnknownLoaderIsLeftAlone(t *testing.T) {
	script := string(embeddedScript(binary.IpxeEFI))
	for name, loader := range map[string]string{
		"no script":         "MZ and nothing else",
		"start only":        "MZ" + embeddedStart,
		"end only":          "MZ" + embeddedEnd,
		"two scripts":       script + script,
		"too little room":   embeddedStart + embeddedEnd,
		"ends before start": embeddedEnd + embeddedStart,
	} {
		if got := withScript([]byte(loader)); string(got) != loader {
			t.Errorf("%s was patched to %q", name, got)
		}
	}
}

func TestLoaderScriptIsKnownByItsUserClass(t *testing.T) {
	if !strings.HasPrefix(loaderScript, embeddedStart) {
		t.Error("the user class is not set first")
	}
}
