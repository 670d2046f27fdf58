package palette

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/muster-boot/muster/provisioner"
)

// carried is all that one host's user-data says of Palette.
type carried struct {
	options
	endpoint string
	token    string
	name     string // empty: the agent names itself
	hostName string
	caCerts  [][]byte // PEM, one certificate each
	secrets  map[string]provisioner.Secret
	pems     map[string][]string // by file
	static   provisioner.Static
}

// userData is the host's part of stylus.* and nothing else: Kairos' own keys are
// muster's.
func (c carried) userData() (map[string]any, error) {
	site, err := c.site()
	if err != nil {
		return nil, err
	}
	stylus := map[string]any{
		"managementMode": "central",
		"disableTui":     c.DisableTUI == nil || *c.DisableTUI,
		"site":           site,
	}
	if c.Debug {
		stylus["debug"] = true
	}
	if c.FeatureGate != "" {
		stylus["featureGate"] = c.FeatureGate
	}
	if c.Registry != nil {
		one, err := c.registry(*c.Registry)
		if err != nil {
			return nil, err
		}
		one["insecure"] = c.Registry.Insecure
		stylus["registryCredentials"] = one
	}
	if len(c.Registries) > 0 {
		if stylus["externalRegistries"], err = c.registries(); err != nil {
			return nil, err
		}
	}
	return map[string]any{"stylus": stylus}, nil
}

func (c carried) site() (map[string]any, error) {
	site := map[string]any{
		"paletteEndpoint": c.endpoint,
		"edgeHostToken":   c.token,
		"projectName":     c.Project,
	}
	if c.name != "" {
		site["name"] = c.name
	}
	if c.hostName != "" {
		site["hostName"] = c.hostName
	}
	if len(c.Tags) > 0 {
		site["tags"] = anyMap(c.Tags)
	}
	if len(c.caCerts) > 0 {
		site["caCerts"] = encoded(c.caCerts)
	}
	if c.Insecure {
		site["insecureSkipVerify"] = true
	}
	if len(c.NTP) > 0 {
		site["ntpServers"] = anyList(c.NTP)
	}
	network, err := c.network()
	if len(network) > 0 {
		site["network"] = network
	}
	return site, err
}

func (c carried) network() (map[string]any, error) {
	network := map[string]any{}
	for key, value := range map[string]string{
		"httpProxy": c.Network.HTTPProxy, "httpsProxy": c.Network.HTTPSProxy, "noProxy": c.Network.NoProxy, "nameserver": c.Network.Nameserver,
	} {
		if value != "" {
			network[key] = value
		}
	}
	if c.static.Address == "" {
		return network, nil
	}
	port, err := fixed(c.static)
	if err != nil {
		return nil, err
	}
	if c.Network.Interface == "" {
		return nil, errors.New("handoff.network.interface: say how the installed system names the port that has a fixed address, as in network: {interface: eno1}; Palette's user-data knows ports by their names alone")
	}
	network["interfaces"] = map[string]any{c.Network.Interface: port}
	return network, nil
}

// fixed is a fixed address as stylus takes it.
func fixed(s provisioner.Static) (map[string]any, error) {
	prefix, err := netip.ParsePrefix(s.Address)
	if err != nil || !prefix.Addr().Is4() {
		return nil, fmt.Errorf("handoff: the fixed address %q is no IPv4 address with a prefix length, and Palette's user-data takes no other", s.Address)
	}
	if s.VLAN != 0 {
		return nil, fmt.Errorf("handoff: Palette's user-data has no VLAN, and the host is to be in VLAN %d: make it the port's untagged one", s.VLAN)
	}
	port := map[string]any{
		"type": "static", "ipAddress": prefix.Addr().String(),
		"mask": net.IP(net.CIDRMask(prefix.Bits(), 32)).String(),
	}
	if s.Gateway != "" {
		port["gateway"] = s.Gateway
	}
	if len(s.DNS) > 0 {
		port["nameserver"] = s.DNS[0]
	}
	return port, nil
}

func (c carried) registries() (map[string]any, error) {
	var list []any
	for _, r := range c.Registries {
		one, err := c.registry(r)
		if err != nil {
			return nil, err
		}
		if r.Repository != "" {
			one["repositoryName"] = r.Repository
		}
		var certificates []string
		for _, file := range r.CAFiles {
			certificates = append(certificates, c.pems[file]...)
		}
		if len(certificates) > 0 {
			one["certificates"] = anyList(certificates)
		}
		list = append(list, one)
	}
	all := map[string]any{"registries": list}
	if len(c.Mapping) > 0 {
		all["registryMappingRules"] = anyMap(c.Mapping)
	}
	return all, nil
}

func (c carried) registry(r registryOptions) (map[string]any, error) {
	one := map[string]any{"domain": r.Domain}
	if r.Username != "" {
		one["username"] = r.Username
	}
	if r.Password == "" {
		return one, nil
	}
	password, ok := c.secrets[r.Password]
	if !ok {
		return nil, fmt.Errorf("handoff: password_secret names the secret %q, and the order has none of that name: put it into secrets", r.Password)
	}
	one["password"] = password.Reveal()
	return one, nil
}

// certificates are the single ones of PEM text.
func certificates(text []byte) [][]byte {
	var list [][]byte
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return list
		}
		if block.Type == "CERTIFICATE" {
			list = append(list, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		}
		text = rest
	}
}

// encoded are certificates as stylus.site.caCerts has them, in base64 once more.
func encoded(certs [][]byte) []any {
	var list []any
	for _, c := range certs {
		list = append(list, base64.StdEncoding.EncodeToString(c))
	}
	return list
}

func anyMap(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
