package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/redfish"
)

// simulator is OpenIPMI's BMC, whose chassis is a shell script over files.
type simulator struct {
	dir, address string
}

func startSimulator(t *testing.T) simulator {
	t.Helper()
	if _, err := exec.LookPath("ipmi_sim"); err != nil && os.Geteuid() != 0 {
		t.Skip("ipmi_sim is not installed; make lab installs openipmi and ipmitool")
	}
	s := simulator{dir: t.TempDir()}
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = probe.LocalAddr().String()
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.address)
	s.write(t, "power", "1\n")
	s.write(t, "chassis", fmt.Sprintf("#!/bin/sh\ncd %s\necho \"$@\" >> log\ncase \"$1 $2\" in\n\"get power\") echo power:$(cat power);;\n\"set power\") echo $3 > power;;\n\"set boot\") echo $3 > boot;;\n\"get boot\") echo boot:none;;\nesac\n", s.dir))
	if err := os.Chmod(filepath.Join(s.dir, "chassis"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write(t, "lan.conf", fmt.Sprintf(`name "t"
set_working_mc 0x20
  startlan 1
    addr %s %s
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s/chassis"
  user 2 true "root" "right" admin 10 none md2 md5 straight
`, host, port, s.dir))
	s.write(t, "emu", "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n")
	cmd := exec.CommandContext(t.Context(), "ipmi_sim", "-c", "lan.conf", "-f", "emu", "-s", filepath.Join(s.dir, "state"), "-n")
	cmd.Dir = s.dir
	if err := cmd.Start(); err != nil {
		t.Fatalf("ipmi_sim: %v (make lab installs openipmi)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	s.await(t)
	return s
}

// await asks until the simulator's socket is there.
func (s simulator) await(t *testing.T) {
	for range 100 {
		ask := exec.CommandContext(t.Context(), "ipmitool", "-I", "lanplus", "-U", "root", "-P", "right", "-N", "1", "-R", "1", "-C", "3", "-H", "127.0.0.1", "-p", s.address[strings.LastIndexByte(s.address, ':')+1:], "mc", "info")
		if ask.Run() == nil {
			return
		}
		if err := pause(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("ipmi_sim does not answer")
}

func (s simulator) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s simulator) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(s.dir, name)) // absent is empty
	return strings.TrimSpace(string(data))
}

func (s simulator) bmc(t *testing.T, password redfish.Secret) *BMC {
	t.Helper()
	b, err := New(Target{Address: s.address, User: "root", Password: password}, Pace{Poll: 10 * time.Millisecond, Settle: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAHostIsStartedFromItsNetwork(t *testing.T) {
	s := startSimulator(t)
	b := s.bmc(t, "right")
	if p, err := b.Power(t.Context()); err != nil || p != redfish.On {
		t.Fatalf("%s, %v", p, err)
	}
	if err := b.BootNetwork(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Power(t.Context()); err != nil || p != redfish.On || s.read("boot") != "pxe" {
		t.Errorf("%s, boots %q, %v", p, s.read("boot"), err)
	}
	acts := ""
	for line := range strings.Lines(s.read("log")) {
		if strings.HasPrefix(line, "set ") {
			acts += strings.TrimSpace(line) + "; "
		}
	}
	if acts != "set power 0; set boot pxe; set power 1; " {
		t.Errorf("it was told: %s", acts)
	}
}

func TestPowerThatDoesNotComeIsToldNotBelieved(t *testing.T) {
	s := startSimulator(t)
	s.write(t, "chassis", fmt.Sprintf("#!/bin/sh\n[ \"$1 $2\" = \"get power\" ] && echo power:$(cat %s/power)\nexit 0\n", s.dir))
	err := s.bmc(t, "right").SetPower(t.Context(), redfish.Off)
	if redfish.CauseOf(err) != redfish.Slow {
		t.Errorf("got %v", err)
	}
}

func TestAWrongPasswordIsSentOnce(t *testing.T) {
	s := startSimulator(t)
	b := s.bmc(t, "wrong")
	_, first := b.Power(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, second := b.Power(ctx)
	if redfish.CauseOf(first) != redfish.WrongPassword || !redfish.ForOperator(first) || !errors.Is(second, first) || strings.Contains(first.Error(), "wrong") {
		t.Errorf("first %v, then %v", first, second)
	}
}

func TestWhatIPMIToolSaysBecomesASentence(t *testing.T) {
	for said, want := range map[string]redfish.Cause{
		"RAKP 2 HMAC is invalid": redfish.WrongPassword, "RAKP 2 message indicates an error : unauthorized name": redfish.WrongPassword,
		"insufficient resources for session": redfish.Sessions, "Unable to establish IPMI v2 / RMCP+ session": redfish.Unreachable, "": redfish.Unreachable,
	} {
		if f := fault("192.0.2.1", "read the power", errors.New(said), true); f.Cause != want || !strings.Contains(f.Say, "192.0.2.1") {
			t.Errorf("%q is %s: %s", said, f.Cause, f.Say)
		}
	}
	if power("Chassis Power is on\n") != redfish.On || power("Chassis Power is off") != redfish.Off || power("?") != redfish.Unknown {
		t.Error("the power is misread")
	}
}
