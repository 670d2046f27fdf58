package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// poolLimit bounds a pool, in addresses: a /16.
const poolLimit = 1 << 16

// shortestDeadline is the least that a deadline may be; less than this is
// surely a missing unit.
const shortestDeadline = 10 * time.Second

// checker collects every fault of a file, so that one run shows them all.
type checker struct {
	at     func(path, fault string) error // names the line of a key path
	faults []error
}

func (c *checker) say(path, format string, args ...any) {
	c.faults = append(c.faults, c.at(path, fmt.Sprintf(format, args...)))
}

// check turns the raw file into a Config, or says everything that is wrong.
func check(raw file, at func(path, fault string) error) (Config, error) {
	c := &checker{at: at}
	cfg := Config{
		BootPort: c.port("boot.port", raw.Boot.Port),
		BootTLS:  c.bootTLS(raw.Boot),
		LogLevel: c.level("log", raw.Log),
		Deadlines: Deadlines{
			Discover: c.deadline("deadlines.discover", raw.Deadlines.Discover),
			Verify:   c.deadline("deadlines.verify", raw.Deadlines.Verify),
			Install:  c.deadline("deadlines.install", raw.Deadlines.Install),
			Register: c.deadline("deadlines.register", raw.Deadlines.Register),
		},
		PowerOn:  c.powerOn(raw.PowerOn),
		Site:     c.site(raw.Site),
		Networks: c.networks(raw.Networks),
		Webhooks: c.webhooks(raw.Webhooks),
	}
	cfg.Data, cfg.Socket = c.paths(raw)
	cfg.Recipes = c.optional("recipes", raw.Recipes)
	cfg.Handoff.LocalUI.Bundles = c.optional("handoff.localui.bundles", raw.Handoff.LocalUI.Bundles)
	cfg.Handoff.Palette = c.palette(raw.Handoff.Palette)
	if err := errors.Join(c.faults...); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

func (c *checker) paths(raw file) (data, socket string) {
	data, err := absolute(raw.Data)
	if err != nil || raw.Data == "" {
		c.say("data", "name the directory that muster keeps its data in")
		return "", ""
	}
	if raw.Socket == "" {
		return data, SocketIn(data)
	}
	socket, err = absolute(raw.Socket)
	if err != nil {
		c.say("socket", "%v", err)
	}
	return data, socket
}

// SocketIn is where the people's API listens when the file does not say.
func SocketIn(data string) string { return filepath.Join(data, "muster.sock") }

// DefaultSocket is where a client looks for the people's API.
func DefaultSocket() string { return SocketIn(defaults().Data) }

func (c *checker) port(path string, n int) uint16 {
	if n < 1 || n > 65535 {
		c.say(path, "%d is no TCP port: use 1 to 65535", n)
		return 0
	}
	return uint16(n)
}

func (c *checker) bootTLS(raw boot) BootTLS {
	if raw.HTTPSPort == raw.Port {
		c.say("boot.https_port", "%d is boot.port already: http and https each need a port of their own", raw.Port)
	}
	if (raw.Certificate == "") != (raw.Key == "") {
		c.say("boot", "certificate and key go together: name the files of both, or of neither for a certificate that muster makes")
	}
	return BootTLS{
		Port:        c.port("boot.https_port", raw.HTTPSPort),
		Certificate: c.optional("boot.certificate", raw.Certificate),
		Key:         c.optional("boot.key", raw.Key),
	}
}

// optional is a path that may be left out.
func (c *checker) optional(path, name string) string {
	if name == "" {
		return ""
	}
	name, err := absolute(name)
	if err != nil {
		c.say(path, "%v", err)
	}
	return name
}

func (c *checker) level(path, text string) zerolog.Level {
	switch text {
	case "debug", "info", "warn", "error":
	default:
		c.say(path, "%q is not one of debug, info, warn, error", text)
		return zerolog.NoLevel
	}
	level, err := zerolog.ParseLevel(text)
	if err != nil {
		c.say(path, "%v", err)
	}
	return level
}

func (c *checker) deadline(path, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		c.say(path, "%q is no length of time: write it like 90s, 10m or 1h30m", text)
		return 0
	}
	if d < shortestDeadline {
		c.say(path, "%s is too short for any host: use at least %s", text, shortestDeadline)
	}
	return d
}

// longestPeriod is more than any site's power needs; a longer one is surely a
// wrong unit.
const longestPeriod = time.Hour

func (c *checker) powerOn(raw powerOn) PowerOn {
	if raw.Hosts < 1 {
		c.say("power_on.hosts", "%d hosts would never be started: use 1 or more", raw.Hosts)
	}
	every, err := time.ParseDuration(raw.Every)
	switch {
	case err != nil:
		c.say("power_on.every", "%q is no length of time: write it like 10s or 2m", raw.Every)
	case every < 0 || every > longestPeriod:
		c.say("power_on.every", "%s is not from 0s to %s", raw.Every, longestPeriod)
	}
	return PowerOn{Hosts: raw.Hosts, Every: every}
}

func (c *checker) networks(raw []network) []Network {
	if len(raw) == 0 {
		c.say("networks", "at least one network is needed: write\n\n%s", minimal)
		return nil
	}
	networks := make([]Network, 0, len(raw))
	seen := make(map[string]int)
	for i, n := range raw {
		path := fmt.Sprintf("networks[%d]", i)
		if first, twice := seen[n.Interface]; twice && n.Interface != "" {
			c.say(path+".interface", "%s is networks[%d] already", n.Interface, first)
		}
		seen[n.Interface] = i
		networks = append(networks, c.network(path, networkDefaults(n)))
	}
	return networks
}

func (c *checker) network(path string, raw network) Network {
	n := Network{
		Interface:            c.device(path+".interface", raw.Interface),
		DHCP:                 DHCP(c.oneOf(path+".dhcp", raw.DHCP, string(DHCPFull), string(DHCPOff))),
		Unknown:              Unknown(c.oneOf(path+".unknown", raw.Unknown, string(UnknownSilent), string(UnknownDiscover))),
		Loader:               Loader(c.oneOf(path+".loader", raw.Loader, string(LoaderAuto), string(LoaderAlways))),
		DNS:                  c.addresses(path+".dns", raw.DNS),
		NTP:                  c.addresses(path+".ntp", raw.NTP),
		RouterAdvertisements: *raw.RouterAdvertisements,
	}
	if raw.Router != "" {
		n.Router = c.address(path+".router", raw.Router)
	}
	n.Pool = c.pool(path+".pool", raw)
	if n.Router.IsValid() && n.Pool.Contains(n.Router) {
		c.say(path+".pool", "the router %s is inside the pool", n.Router)
	}
	return n
}

// device accepts what Linux accepts as an interface name (IFNAMSIZ is 16).
func (c *checker) device(path, name string) string {
	switch {
	case name == "":
		c.say(path, "name the interface that the hosts are on")
	case len(name) > 15, !regexp.MustCompile(`^[^/\s:]+$`).MatchString(name), name == ".", name == "..":
		c.say(path, "%q cannot be the name of a network interface", name)
	}
	return name
}

func (c *checker) oneOf(path, value string, allowed ...string) string {
	for _, a := range allowed {
		if value == a {
			return value
		}
	}
	c.say(path, "%q is not one of %s", value, strings.Join(allowed, ", "))
	return value
}

func (c *checker) addresses(path string, texts []string) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(texts))
	for i, text := range texts {
		at := path
		if len(texts) > 1 {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		addrs = append(addrs, c.address(at, text))
	}
	return addrs
}

func (c *checker) address(path, text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		c.say(path, "%q is no IPv4 address", text)
		return netip.Addr{}
	}
	return addr
}

func (c *checker) pool(path string, n network) Pool {
	if n.DHCP != string(DHCPFull) {
		if n.Pool != "" {
			c.say(path, "this network has dhcp: %s, so nothing is given from a pool: remove it", n.DHCP)
		}
		return Pool{}
	}
	from, to, found := strings.Cut(n.Pool, "-")
	if !found {
		c.say(path, "write the first and the last address that hosts may get, like 10.0.0.100-10.0.0.200")
		return Pool{}
	}
	before := len(c.faults)
	p := Pool{c.address(path, strings.TrimSpace(from)), c.address(path, strings.TrimSpace(to))}
	if len(c.faults) > before {
		return Pool{}
	}
	if size := p.Size(); size < 1 || size > poolLimit {
		c.say(path, "%s to %s is no range of 1 to %d addresses", p.From, p.To, poolLimit)
	}
	return p
}

// Size counts the addresses of the pool; it is not positive where From comes
// after To.
func (p Pool) Size() int {
	if !p.From.IsValid() || !p.To.IsValid() {
		return 0
	}
	from, to := p.From.As4(), p.To.As4()
	return int(int64(binary.BigEndian.Uint32(to[:])) - int64(binary.BigEndian.Uint32(from[:])) + 1)
}

// Contains reports whether addr is in the pool.
func (p Pool) Contains(addr netip.Addr) bool {
	return p.From.IsValid() && p.From.Compare(addr) <= 0 && addr.Compare(p.To) <= 0
}

// Discovers reports whether any network gives the scout to unlisted hosts.
func (c Config) Discovers() bool {
	for _, n := range c.Networks {
		if n.Unknown == UnknownDiscover {
			return true
		}
	}
	return false
}
