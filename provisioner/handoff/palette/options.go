package palette

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/stylus"
)

// options are what an order says below handoff. What is not here an order says
// in its config, under stylus: that is merged below these.
type options struct {
	Project  string            `json:"project"`  // its name; wanted
	Identity string            `json:"identity"` // name (muster's own, the default) or uuid
	Token    tokenOptions      `json:"token"`
	Tags     map[string]string `json:"tags"`
	HostName string            `json:"host_name"` // manifest (default) or none

	DisableTUI  *bool  `json:"disable_tui"` // default: true
	Debug       bool   `json:"debug"`
	FeatureGate string `json:"feature_gate"`

	Network    networkOptions    `json:"network"`
	NTP        []string          `json:"ntp"`
	CAFiles    []string          `json:"ca_files"` // PEM, on muster's own disk; the site's own is added
	Insecure   bool              `json:"insecure_skip_verify"`
	Registry   *registryOptions  `json:"registry"`   // that serves provider images
	Registries []registryOptions `json:"registries"` // several, with rules
	Mapping    map[string]string `json:"registry_mapping"`

	ReplaceStale string `json:"replace_stale"` // never (default) or allowed
	AgentVersion string `json:"agent_version"` // matching (default) or any
	OtherKeys    string `json:"other_keys"`    // of stylus in the order's config: refused (default) or allowed
}

type tokenOptions struct {
	File  string `json:"file"`  // on muster's own disk; empty: a token is made for the order
	Valid string `json:"valid"` // how long the one that is made is
}

type networkOptions struct {
	Interface  string `json:"interface"` // name in the installed system, of the port that has a fixed address
	HTTPProxy  string `json:"http_proxy"`
	HTTPSProxy string `json:"https_proxy"`
	NoProxy    string `json:"no_proxy"`
	Nameserver string `json:"nameserver"`
}

type registryOptions struct {
	Domain     string   `json:"domain"`
	Repository string   `json:"repository"` // of registries only
	Username   string   `json:"username"`
	Password   string   `json:"password_secret"` // name of a secret of the order
	Insecure   bool     `json:"insecure"`
	CAFiles    []string `json:"ca_files"` // of registries only
}

// How long a token is valid that is made for an order.
const (
	defaultValid = 7 * 24 * time.Hour
	leastValid   = 2 * leastLeft
	mostValid    = 365 * 24 * time.Hour
)

// identities
const (
	byName = "name"
	byUUID = "uuid"
)

// Options implements [handoff.Driver].
func (d *Driver) Options(given map[string]any) error {
	if !d.configured() {
		return errors.New("handoff.driver: this muster has no Palette: name its endpoint and the file of its API key in handoff.palette of the configuration file, and start muster again")
	}
	_, err := readOptions(given)
	return err
}

func readOptions(given map[string]any) (options, error) {
	o := options{Identity: byName, HostName: "manifest", ReplaceStale: "never", AgentVersion: "matching", OtherKeys: stylus.Refused}
	if err := handoff.Decode(given, &o); err != nil {
		return o, err
	}
	if o.Project == "" {
		return o, errors.New("handoff.project: name the Palette project that the hosts belong to, as in handoff: {driver: palette, project: Default}")
	}
	for _, c := range []struct {
		key, value string
		allowed    []string
	}{
		{"identity", o.Identity, []string{byName, byUUID}},
		{"host_name", o.HostName, []string{"manifest", "none"}},
		{"replace_stale", o.ReplaceStale, []string{"never", "allowed"}},
		{"agent_version", o.AgentVersion, []string{"matching", "any"}},
		{"other_keys", o.OtherKeys, []string{stylus.Refused, stylus.Allowed}},
	} {
		if !slices.Contains(c.allowed, c.value) {
			return o, fmt.Errorf("handoff.%s: %q is neither %s", c.key, c.value, strings.Join(c.allowed, " nor "))
		}
	}
	return o, cmp.Or(o.Token.check(), o.checkTags(), o.Network.check(), o.checkRegistries(), o.checkNTP())
}

func (t tokenOptions) check() error {
	switch {
	case t.File != "" && t.Valid != "":
		return errors.New("handoff.token.valid: a token from a file has its own end; leave this key out")
	case t.Valid == "":
		return nil
	}
	valid, err := time.ParseDuration(t.Valid)
	if err != nil || valid < leastValid || valid > mostValid {
		return fmt.Errorf("handoff.token.valid: %q is no length of time between %s and %s: write it like 168h", t.Valid, span(leastValid), span(mostValid))
	}
	return nil
}

// lasts is how long a token that is made is valid.
func (t tokenOptions) lasts() time.Duration {
	if valid, err := time.ParseDuration(t.Valid); err == nil {
		return valid
	}
	return defaultValid
}

// checkTags keeps to what a line of tags can hold.
func (o options) checkTags() error {
	for _, key := range slices.Sorted(maps.Keys(o.Tags)) {
		if key == "" || strings.ContainsAny(key+o.Tags[key], "\r\n\t") || len(key) > 128 || len(o.Tags[key]) > 256 {
			return fmt.Errorf("handoff.tags: %q cannot be a tag: a name of up to 128 letters and a value of up to 256, on one line", key)
		}
	}
	return nil
}

func (n networkOptions) check() error {
	for _, p := range []struct{ key, value string }{{"http_proxy", n.HTTPProxy}, {"https_proxy", n.HTTPSProxy}} {
		u, err := url.Parse(p.value)
		if p.value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("handoff.network.%s: write it like http://proxy.example:3128", p.key)
		}
	}
	if n.Nameserver != "" && net.ParseIP(n.Nameserver) == nil {
		return fmt.Errorf("handoff.network.nameserver: %q is no IP address", n.Nameserver)
	}
	if len(n.Interface) > 15 || strings.ContainsAny(n.Interface, "/ \t\n:") { // IFNAMSIZ is 16
		return fmt.Errorf("handoff.network.interface: %q cannot be the name of a network interface", n.Interface)
	}
	return nil
}

func (o options) checkRegistries() error {
	if o.Registry != nil {
		if o.Registry.Domain == "" {
			return errors.New("handoff.registry.domain: name the registry, as in reg.example.org/edge")
		}
		if o.Registry.Repository != "" || len(o.Registry.CAFiles) > 0 {
			return errors.New("handoff.registry: repository and ca_files are for registries; here domain has the repository too")
		}
	}
	for i, r := range o.Registries {
		if r.Domain == "" {
			return fmt.Errorf("handoff.registries[%d].domain: name the registry, as in reg.example.org", i)
		}
	}
	if len(o.Mapping) > 0 && len(o.Registries) == 0 {
		return errors.New("handoff.registry_mapping: it maps to registries, and none is named in handoff.registries")
	}
	return nil
}

func (o options) checkNTP() error {
	for i, server := range o.NTP {
		if server == "" || strings.ContainsAny(server, " \t\r\n") {
			return fmt.Errorf("handoff.ntp[%d]: %q is no time server", i, server)
		}
	}
	return nil
}
