package bmctest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// calls is a boot plane that lets everybody do everything.
type calls struct {
	mu   sync.Mutex
	list []string
}

func (c *calls) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, r.Method+" "+r.URL.Path)
}

func (c *calls) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// configured is an image whose added files make it install by itself.
func configured(t *testing.T, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "host.iso")
	args := []string{"-as", "mkisofs", "-quiet", "-R", "-V", "COS_LIVE", "-o", out, "-graft-points"}
	i := 0
	for name, content := range files {
		i++
		p := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name+"="+p)
	}
	if words, err := exec.Command("xorriso", args...).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v: %s", err, words)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const grub = "menuentry x {\n\tlinux /boot/kernel root=live:CDLABEL=COS_LIVE install-mode console=ttyS0\n}\n"

// TestThePaperHostInstallsFromItsMediumAndRegisters is the whole way by virtual
// media: the last configuration of the root wins, and the host goes on from its
// disk after the reboot.
func TestThePaperHostInstallsFromItsMediumAndRegisters(t *testing.T) {
	plane := &calls{}
	server := httptest.NewServer(plane)
	defer server.Close()
	b := newBench(t, "openbmc")
	base := server.URL + "/a/attempt/token"
	content := configured(t, map[string]string{
		"boot/grub2/grub.cfg": grub,
		"10_base.yaml":        "#cloud-config\ninstall: {auto: false, poweroff: true}\ncallhome: {url: http://192.0.2.1/, token: x}\n",
		"zz_muster.yaml": fmt.Sprintf("#cloud-config\nhostname: h\ninstall: {auto: true, reboot: true, poweroff: false}\ncallhome: {url: %s/register, token: s}\n"+
			"stages: {before: [{commands: [\"curl -X POST %s/step/writing\"]}]}\n", base, base),
	})
	b.files.set(func(s *imageServer) { s.content = content })
	slot := b.managerPath() + "/VirtualMedia/USB1"
	b.insertAndBoot(slot, b.tls, "Cd", DeviceMedium)
	b.says("registered")
	want := []string{"POST /a/attempt/token/step/writing", "POST /a/attempt/token/step/written", "POST /a/attempt/token/booted", "POST /a/attempt/token/booted", "POST /a/attempt/token/register"}
	if got := plane.got(); !slices.Equal(got, want) {
		t.Errorf("called %q", got)
	}
	if got := b.Boots(); len(got) != 2 || got[1].Device != FirmwareOrder {
		t.Errorf("booted %v", got)
	}
}

// TestThePaperHostIsAScoutWhereItsMediumSaysSo reads muster's arguments from
// the kernel's line on the medium.
func TestThePaperHostIsAScoutWhereItsMediumSaysSo(t *testing.T) {
	plane := &calls{}
	server := httptest.NewServer(plane)
	defer server.Close()
	b := newBench(t, "openbmc")
	content := configured(t, map[string]string{
		"boot/grub/grub.cfg": "linux /vmlinuz muster.server=" + server.URL + " muster.token=key muster.host=h-1 quiet\n",
	})
	b.files.set(func(s *imageServer) { s.content = content })
	b.inserted(b.insert(b.managerPath()+"/VirtualMedia/USB1", image(b.tls)), b.managerPath()+"/VirtualMedia/USB1")
	b.boots("Cd", DeviceMedium)
	b.says("is a scout")
	b.await("two questions", func() bool { return slices.Contains(plane.got(), "GET /scout/h-1/key/instruction") })
}

func TestThePaperHostSaysWhyItDoesNotBoot(t *testing.T) {
	for _, c := range []struct {
		name, want string
		prepare    func(*bench)
	}{
		{"no image", "no ISO 9660 file system", func(b *bench) {
			b.files.set(func(s *imageServer) { s.content = make([]byte, 1<<20) })
		}},
		{"an image cut short", "medium", func(b *bench) {
			b.files.set(func(s *imageServer) { s.content = s.content[:len(s.content)/2] })
		}},
		{"no ranges", "must answer ranges", func(b *bench) { b.files.set(func(s *imageServer) { s.noRanges = true }) }},
		{"never reached", "does not reach", func(b *bench) { b.fail(Fault{Kind: FaultMediaNever}) }},
		{"ejected again", "the drive is empty", func(b *bench) {
			if err := b.host.EjectMedium(b.t.Context()); err != nil {
				b.t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "openbmc")
			b.inserted(b.insert(b.managerPath()+"/VirtualMedia/USB1", image(b.tls)), b.managerPath()+"/VirtualMedia/USB1")
			c.prepare(b)
			b.good("PATCH", b.systemPath(), bootOnce("Cd"))
			b.reset("On")
			b.says("nothing to boot")
			if got := strings.Join(b.host.History(), "\n"); !strings.Contains(got, "no boot from medium") || !strings.Contains(got, c.want) {
				t.Errorf("it said:\n%s", got)
			}
		})
	}
}

// TestAMediumEjectedDuringTheBootEndsIt takes the medium out while it is read.
func TestAMediumEjectedDuringTheBootEndsIt(t *testing.T) {
	b := newBench(t, "openbmc")
	slot := b.managerPath() + "/VirtualMedia/USB1"
	b.inserted(b.insert(slot, image(b.tls)), slot)
	b.good("PATCH", b.systemPath(), bootOnce("Cd"))
	b.fail(Fault{Kind: FaultMediaSlow, Seconds: 20})
	b.reset("On")
	b.good("POST", slot+"/Actions/VirtualMedia.EjectMedia", object{})
	b.says("the medium was ejected")
}

// TestAMachineReadsItsDriveThroughTheBMC is how QEMU gets at it: ranges from the
// BMC, which makes its own of them.
func TestAMachineReadsItsDriveThroughTheBMC(t *testing.T) {
	b := newBench(t, "openbmc")
	slot := b.managerPath() + "/VirtualMedia/USB1"
	b.inserted(b.insert(slot, image(b.tls)), slot)
	b.host.mu.Lock()
	m := b.host.medium
	b.host.mu.Unlock()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Range", "bytes=32768-34815")
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	if w.Code != http.StatusPartialContent || w.Body.String() != string(b.files.content[32768:34816]) {
		t.Errorf("answered %d with %d bytes", w.Code, w.Body.Len())
	}
	if got := b.Fetches(); len(got) != 2 || got[1].Range != "bytes=32768-34815" {
		t.Errorf("the BMC fetched %+v", got)
	}
}

// FuzzReadDisc feeds broken images to what a paper host reads of a medium.
func FuzzReadDisc(f *testing.F) {
	data, err := discOnce()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[firstSector*sector : min(len(data), 64*sector)])
	f.Add([]byte{1, 'C', 'D', '0', '0', '1'})
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := append(make([]byte, firstSector*sector), data...)
		d, err := readDisc(strings.NewReader(string(whole)), int64(len(whole)))
		if err == nil && len(d.configs) > maxEntries {
			t.Errorf("%d configurations", len(d.configs))
		}
	})
}
