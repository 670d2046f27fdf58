//go:build race

package ramdisk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// quickToRead repacks a package with zstd: under the race detector our xz
// decoder takes minutes for a kernel, and it races with nobody.
func quickToRead(t *testing.T, deb string) string {
	t.Helper()
	f, err := os.Open(deb)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, data, err := dataMember(f)
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd := exec.Command("sh", "-c", "xz -dc | zstd -q -1 -c")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = data, &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("repack: %v\n%s", err, said.Bytes())
	}
	var packed bytes.Buffer
	packed.WriteString(arMagic)
	arAdd(&packed, "data.tar.zst", out.Bytes())
	name := filepath.Join(t.TempDir(), "kernel.deb")
	write(t, name, packed.String())
	return name
}
