package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// fixed is an address that the system does not ask DHCP for.
type fixed struct {
	mac     string // of the port; empty: the first with a link
	address netip.Prefix
	gateway netip.Addr
	dns     []netip.Addr
}

// errByDHCP says that no fixed address is given.
var errByDHCP = errors.New("no fixed address is given")

// fixedOf reads the kernel's command line as dracut does (dracut.cmdline(7)):
// ifname=NAME:MAC, ip=ADDRESS::GATEWAY:MASK:HOST:NAME:none, nameserver=ADDRESS.
// Only IPv4, and no VLAN.
func fixedOf(cmdline []string) (fixed, error) {
	words := strings.Split(parameter(cmdline, "ip"), ":")
	const address, gateway, mask, port, how = 0, 2, 3, 5, 6
	if len(words) <= how || words[how] != "none" && words[how] != "off" {
		return fixed{}, errByDHCP
	}
	var f fixed
	a, err := netip.ParseAddr(words[address])
	if err != nil {
		return f, fmt.Errorf("ip=: %w", err)
	}
	m := net.ParseIP(words[mask]).To4()
	bits, _ := net.IPMask(m).Size()
	if m == nil || bits == 0 {
		return f, fmt.Errorf("ip=: %q is no mask", words[mask])
	}
	f.address = netip.PrefixFrom(a, bits)
	if f.gateway, err = optional(words[gateway]); err != nil {
		return f, fmt.Errorf("ip=: %w", err)
	}
	for _, word := range cmdline {
		if name, mac, ok := strings.Cut(strings.TrimPrefix(word, "ifname="), ":"); ok && strings.HasPrefix(word, "ifname=") && name == words[port] {
			f.mac = mac
		}
		if text, ok := strings.CutPrefix(word, "nameserver="); ok {
			server, err := netip.ParseAddr(text)
			if err != nil {
				return f, fmt.Errorf("nameserver=: %w", err)
			}
			f.dns = append(f.dns, server)
		}
	}
	if words[port] != "" && f.mac == "" {
		return f, fmt.Errorf("ip=: the port %s is not named by an ifname=; VLANs are not done here", words[port])
	}
	return f, nil
}

func optional(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}

// fixedIn reads a file of systemd.network(5), of which it knows a few keys.
func fixedIn(text string) (fixed, error) {
	var f fixed
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		var err error
		switch key {
		case "MACAddress":
			f.mac = value
		case "Address":
			f.address, err = netip.ParsePrefix(value)
		case "Gateway":
			f.gateway, err = netip.ParseAddr(value)
		case "DNS":
			var server netip.Addr
			server, err = netip.ParseAddr(value)
			f.dns = append(f.dns, server)
		case "VLAN":
			err = errors.New("VLANs are not done here")
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", key, err)
		}
	}
	if !f.address.IsValid() {
		return f, errByDHCP
	}
	return f, nil
}

// networkFiles are where an installed system keeps its address.
const networkFiles = "/etc/systemd/network/*.network"

// findFixed is the address that the boot menu gives, or else the system's files.
func findFixed(cmdline []string) (fixed, error) {
	f, err := fixedOf(cmdline)
	if !errors.Is(err, errByDHCP) {
		return f, err
	}
	paths, err := filepath.Glob(networkFiles)
	if err != nil {
		return f, err
	}
	slices.Sort(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return f, err
		}
		if f, err = fixedIn(string(text)); !errors.Is(err, errByDHCP) {
			return f, err
		}
	}
	return f, errByDHCP
}

// setUp gives a port the address. An error means that DHCP may be asked.
func setUp(ctx context.Context, cmdline []string, say func(string, ...any)) error {
	f, err := findFixed(cmdline)
	if err != nil {
		return err
	}
	port, err := portOf(ctx, f.mac)
	if err != nil {
		return err
	}
	say("%s has the fixed address %s", port, f.address)
	commands := [][]string{{"ip", "addr", "replace", f.address.String(), "dev", port}}
	if f.gateway.IsValid() {
		commands = append(commands, []string{"ip", "route", "replace", "default", "via", f.gateway.String(), "dev", port})
	}
	for _, c := range commands {
		if err := command(ctx, c...); err != nil {
			return err
		}
	}
	var servers strings.Builder
	for _, server := range f.dns {
		fmt.Fprintf(&servers, "nameserver %s\n", server)
	}
	return os.WriteFile("/run/resolv.conf", []byte(servers.String()), 0o644)
}

// portOf waits until the port with that MAC, or any if none is named, has link.
func portOf(ctx context.Context, mac string) (string, error) {
	const patience, step = 30 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		all, err := net.Interfaces()
		if err != nil {
			return "", err
		}
		for _, i := range all {
			if i.Flags&net.FlagLoopback != 0 || mac != "" && !strings.EqualFold(i.HardwareAddr.String(), mac) {
				continue
			}
			if err := command(ctx, "ip", "link", "set", i.Name, "up"); err != nil {
				return "", err
			}
			if i.Flags&net.FlagRunning != 0 {
				return i.Name, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no port %s has link", mac)
		case <-tick.C:
		}
	}
}
