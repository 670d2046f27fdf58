package bmctest

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// peerSecond gives clients that poll in their own time what to see.
const peerSecond = 10 * second

func forPeers(o *Options, _ *PaperOptions) { o.Second = peerSecond }

// sushy runs Debian's python3-sushy against the BMC.
func (b *bench) sushy(url string) []string {
	b.t.Helper()
	out, err := exec.CommandContext(b.t.Context(), "/usr/bin/python3", "testdata/sushy_boot.py", b.URL(), b.User(), b.Password(), url).CombinedOutput()
	if err != nil {
		b.t.Fatalf("python3-sushy (is it installed? run make lab): %v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestSushyBootsWhereRealBMCsLetIt is the whole sequence by a client that knows
// nothing of this emulator.
func TestSushyBootsWhereRealBMCsLetIt(t *testing.T) {
	for _, c := range []struct{ personality, target string }{
		{"openbmc", "Cd"}, {"supermicro-x11", "UsbCd"}, {"lenovo-sr655", "Cd"},
	} {
		t.Run(c.personality, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.personality, forPeers)
			url := b.image
			if c.personality == "openbmc" {
				url = b.tls
			}
			want := []string{"serial " + b.rules.Identity(7).Serial, "power Off", "inserted True", "override " + c.target + " Once", "on", "inserted False", "off"}
			if got := b.sushy(url); !slices.Equal(got, want) {
				t.Fatalf("sushy said %q; the host did %q", got, b.host.History())
			}
			if b.Boots()[0].Device != DeviceMedium {
				t.Errorf("booted %v", b.Boots())
			}
		})
	}
}

// TestSushyIsRefusedWhereRealBMCsRefuseIt names what stops this version of
// sushy (4.3.3), which knows no drives of a System.
func TestSushyIsRefusedWhereRealBMCsRefuseIt(t *testing.T) {
	for _, c := range []struct{ name, personality, want string }{
		{"3.1 iDRAC9 from 6.00: the manager's copy of the drives", "idrac9", "RAC0904"},
		{"3.1 iDRAC10: the manager has no drives", "idrac10", "VirtualMedia"},
		{"2 NVIDIA DGX: the first System has no actions", "nvidia-dgx", "HGX_Baseboard_0"},
		{"3.1 Huawei: no standard action", "huawei", "no drive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.personality, forPeers)
			got := b.sushy(b.image)
			if last := got[len(got)-1]; !strings.HasPrefix(last, "stopped") || !strings.Contains(last, c.want) {
				t.Errorf("sushy said %q", got)
			}
			if len(b.Boots()) != 0 {
				t.Error("it booted")
			}
		})
	}
}

// TestSushyIsDeceivedWhereRealBMCsDeceive has every call answered well, and the
// host does not boot the medium: Cd of an old iDRAC9 is the chassis' drive.
func TestSushyIsDeceivedWhereRealBMCsDeceive(t *testing.T) {
	b := newBench(t, "idrac9-old", forPeers)
	got := b.sushy(b.image)
	if !slices.Contains(got, "on") || !slices.Contains(got, "override Cd Once") {
		t.Fatalf("sushy said %q", got)
	}
	if b.Boots()[0].Device == DeviceMedium {
		t.Error("it booted the medium")
	}
}

// TestRedfishtoolListsAndResets drives Systems with Debian's redfishtool.
func TestRedfishtoolListsAndResets(t *testing.T) {
	for _, personality := range []string{"openbmc", "idrac9"} {
		t.Run(personality, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, personality, forPeers)
			if got := b.redfishtool("Systems", "list"); !strings.Contains(got, b.systemPath()) {
				t.Errorf("lists %s", got)
			}
			b.redfishtool("Systems", "-1", "setBootOverride", "Once", "Pxe")
			b.redfishtool("Systems", "-1", "reset", "On")
			b.await("a boot", func() bool { return len(b.Boots()) == 1 && !b.State().Moving })
			if b.lastBoot() != DeviceNetwork {
				t.Errorf("booted %q", b.lastBoot())
			}
			b.redfishtool("Systems", "-1", "reset", "ForceOff")
			b.await("power off", func() bool { return !b.host.On() })
			if got := b.redfishtool("Systems", "-1", "get", "-P", "PowerState"); !strings.Contains(got, "Off") {
				t.Errorf("the power is %s", got)
			}
		})
	}
}

func (b *bench) redfishtool(args ...string) string {
	b.t.Helper()
	address := strings.TrimPrefix(b.URL(), "http://")
	all := append([]string{"-r", address, "-u", b.User(), "-p", b.Password(), "-S", "Never", "-A", "Basic"}, args...)
	out, err := exec.CommandContext(b.t.Context(), "redfishtool", all...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("redfishtool %q (is it installed? run make lab): %v\n%s", args, err, out)
	}
	return string(out)
}
