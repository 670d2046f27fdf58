// Package ipmitest runs OpenIPMI's BMC, ipmi_sim, for tests: a program that
// muster's authors did not write, with a chassis of files or one that the caller
// drives.
//
// It is no host: nothing boots by itself. It needs the Debian package openipmi,
// and ipmitool to see that it answers. Start at [Start].
package ipmitest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// User and Password are the simulator's one account.
const (
	User     = "root"
	Password = "right"
)

// Simulator is a running BMC, on as it starts.
type Simulator struct {
	Address string // with its UDP port
	dir     string
	cmd     *exec.Cmd
}

// chassis is the script that the simulator calls. %s is its directory.
const chassis = `#!/bin/sh
cd %s
echo "$@" >> log
case "$1 $2" in
"get power") echo power:$(cat power);;
"set power") echo $3 > power;;
"set boot") echo $3 > boot;;
"get boot") echo boot:none;;
esac
`

// lan is the simulator's configuration: address, port, the line of a system
// interface, directory, user, password.
const lan = `name "t"
set_working_mc 0x20
  startlan 1
    addr %s %s
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  %s
  chassis_control "%s/chassis"
  user 2 true "%s" "%s" admin 10 none md2 md5 straight
`

const controllers = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n"

// Options are where a simulator runs and what it drives.
type Options struct {
	// Address and UDP port where it answers; empty means a free port of loopback.
	Address string
	// VM is the address and TCP port at which it waits for QEMU's end of the
	// system interface; empty means none.
	VM string
	// Chassis is the script that acts for the chassis; empty means one that keeps
	// files. Its arguments are get or set, what, and to what.
	Chassis string
	// Command runs a program where the simulator is to be, for instance in
	// another network namespace; nil means exec.CommandContext.
	Command func(ctx context.Context, name string, args ...string) *exec.Cmd
}

// Start starts a simulator in an empty directory and returns when it answers.
// Close ends it, and so does ctx.
func Start(ctx context.Context, dir string, o Options) (*Simulator, error) {
	if o.Command == nil {
		o.Command = exec.CommandContext
	}
	s := &Simulator{Address: o.Address, dir: dir}
	if err := s.configure(o); err != nil {
		return nil, err
	}
	s.cmd = o.Command(ctx, "ipmi_sim", "-c", "lan.conf", "-f", "emu", "-s", filepath.Join(dir, "state"), "-n")
	s.cmd.Dir = dir
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ipmi_sim (make lab installs openipmi): %w", err)
	}
	if err := s.await(ctx, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// configure writes the simulator's files, and finds it a port if it has none.
func (s *Simulator) configure(o Options) error {
	if s.Address == "" {
		address, err := freeAddress()
		if err != nil {
			return fmt.Errorf("find a port for ipmi_sim: %w", err)
		}
		s.Address = address
	}
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	system := ""
	if o.VM != "" {
		at, vmPort, err := net.SplitHostPort(o.VM)
		if err != nil {
			return err
		}
		system = fmt.Sprintf("serial 15 %s %s codec VM", at, vmPort)
	}
	if o.Chassis == "" {
		o.Chassis = fmt.Sprintf(chassis, s.dir)
	}
	return errors.Join(
		s.write("power", "1\n"), s.Chassis(o.Chassis), s.write("emu", controllers),
		s.write("lan.conf", fmt.Sprintf(lan, host, port, system, s.dir, User, Password)))
}

// freeAddress is one of loopback with a port that the kernel gives to nobody who
// asks for any: ipmi_sim opens it itself, so it cannot be held until then.
func freeAddress() (string, error) {
	const first, last, tries = 10000, 32000, 100 // below Linux's usual ip_local_port_range
	var err error
	for range tries {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.N(last-first))
		var probe net.PacketConn
		if probe, err = net.ListenPacket("udp", address); err == nil {
			return address, probe.Close()
		}
	}
	return "", err
}

// await asks until the simulator's socket is there.
func (s *Simulator) await(ctx context.Context, o Options) error {
	const tries, between = 100, 20 * time.Millisecond
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	tick := time.NewTicker(between)
	defer tick.Stop()
	for range tries {
		ask := o.Command(ctx, "ipmitool", "-I", "lanplus", "-U", User, "-P", Password, "-N", "1", "-R", "1", "-C", "3", "-H", host, "-p", port, "mc", "info")
		if ask.Run() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return errors.New("ipmi_sim does not answer ipmitool")
}

// Close ends the simulator.
func (s *Simulator) Close() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()         // it was killed
}

// Chassis replaces the script that acts for the chassis.
func (s *Simulator) Chassis(script string) error {
	// A new file: the old one may be running.
	if err := os.Remove(filepath.Join(s.dir, "chassis")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "chassis"), []byte(script), 0o700)
}

// On reports whether the chassis has power.
func (s *Simulator) On() bool { return s.read("power") == "1" }

// Boot is the boot device that was set last.
func (s *Simulator) Boot() string { return s.read("boot") }

// Acts are the changes that the chassis was told, oldest first.
func (s *Simulator) Acts() []string {
	var acts []string
	for line := range strings.Lines(s.read("log")) {
		if strings.HasPrefix(line, "set ") {
			acts = append(acts, strings.TrimSpace(line))
		}
	}
	return acts
}

func (s *Simulator) write(name, text string) error {
	return os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600)
}

func (s *Simulator) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(s.dir, name)) // absent is empty
	return strings.TrimSpace(string(data))
}
