package config

import (
	"net/url"
	"regexp"
)

// Palette is the management plane of this site; the zero value is none.
type Palette struct {
	Endpoint string // host name, with a port where it is not 443
	APIKey   string // file; absolute
	CA       string // file; absolute; empty: the system's authorities
	Proxy    string // URL; empty: none
}

type paletteFile struct {
	Endpoint string `yaml:"endpoint"`
	APIKey   string `yaml:"api_key"`
	CA       string `yaml:"ca"`
	Proxy    string `yaml:"proxy"`
}

var endpoint = regexp.MustCompile(`^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$`)

func (c *checker) palette(raw *paletteFile) Palette {
	if raw == nil {
		return Palette{}
	}
	const at = "handoff.palette."
	if !endpoint.MatchString(raw.Endpoint) {
		c.say(at+"endpoint", "%q is no host name: write it like api.spectrocloud.com, without https://", raw.Endpoint)
	}
	if raw.APIKey == "" {
		c.say(at+"api_key", "name the file that has the API key of a Palette user, on one line")
	}
	if u, err := url.Parse(raw.Proxy); raw.Proxy != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		c.say(at+"proxy", "write it like http://proxy.example:3128")
	}
	return Palette{
		Endpoint: raw.Endpoint, Proxy: raw.Proxy,
		APIKey: c.optional(at+"api_key", raw.APIKey), CA: c.optional(at+"ca", raw.CA),
	}
}
