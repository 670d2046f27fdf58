package ipmi

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/ipmi/ipmitest"
)

func startSimulator(t *testing.T) *ipmitest.Simulator {
	t.Helper()
	if _, err := exec.LookPath("ipmi_sim"); err != nil && os.Geteuid() != 0 {
		t.Skip("ipmi_sim is not installed; make lab installs openipmi and ipmitool")
	}
	s, err := ipmitest.Start(t.Context(), t.TempDir(), ipmitest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, s *ipmitest.Simulator, password redfish.Secret) *BMC {
	t.Helper()
	b, err := New(Target{Address: s.Address, User: ipmitest.User, Password: password}, Pace{Poll: 10 * time.Millisecond, Settle: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAHostIsStartedFromItsNetwork(t *testing.T) {
	s := startSimulator(t)
	b := open(t, s, ipmitest.Password)
	if p, err := b.Power(t.Context()); err != nil || p != redfish.On {
		t.Fatalf("%s, %v", p, err)
	}
	if err := b.BootNetwork(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Power(t.Context()); err != nil || p != redfish.On || s.Boot() != "pxe" {
		t.Errorf("%s, boots %q, %v", p, s.Boot(), err)
	}
	acts := strings.Join(s.Acts(), "; ")
	if acts != "set power 0; set boot pxe; set power 1" {
		t.Errorf("it was told: %s", acts)
	}
}

func TestPowerThatDoesNotComeIsToldNotBelieved(t *testing.T) {
	s := startSimulator(t)
	if err := s.Chassis("#!/bin/sh\n[ \"$1 $2\" = \"get power\" ] && echo power:1\nexit 0\n"); err != nil {
		t.Fatal(err)
	}
	err := open(t, s, ipmitest.Password).SetPower(t.Context(), redfish.Off)
	if redfish.CauseOf(err) != redfish.Slow {
		t.Errorf("got %v", err)
	}
}

func TestAWrongPasswordIsSentOnce(t *testing.T) {
	s := startSimulator(t)
	b := open(t, s, "wrong")
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

func TestAPingTellsWhetherIPMIIsThere(t *testing.T) {
	s := startSimulator(t)
	if !Present(t.Context(), s.Address) {
		t.Error("the simulator was not seen")
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if Present(ctx, silent.LocalAddr().String()) {
		t.Error("silence was taken for IPMI")
	}
	if isPong(presencePing[:]) || isPong(nil) {
		t.Error("a ping is no pong")
	}
}
