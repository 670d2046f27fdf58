package config

import "github.com/muster-boot/muster/inventory/strictyaml"

// file is the YAML as people write it.
type file struct {
	Data      string    `yaml:"data"`
	Socket    string    `yaml:"socket"`
	Log       string    `yaml:"log"`
	Recipes   string    `yaml:"recipes"`
	Site      site      `yaml:"site"`
	Handoff   handoff   `yaml:"handoff"`
	Boot      boot      `yaml:"boot"`
	Deadlines deadlines `yaml:"deadlines"`
	PowerOn   powerOn   `yaml:"power_on"`
	Networks  []network `yaml:"networks"`
	Webhooks  []webhook `yaml:"webhooks"`
}

type webhook struct {
	Name       string `yaml:"name"`
	URL        string `yaml:"url"`
	SecretFile string `yaml:"secret_file"`
	CAFile     string `yaml:"ca_file"`
	Events     list   `yaml:"events"`
}

type site struct {
	Name     string `yaml:"name"`
	TimeZone string `yaml:"time_zone"`

	Values map[string]strictyaml.Verbatim `yaml:"values"`
}

type handoff struct {
	LocalUI localUI      `yaml:"localui"`
	Palette *paletteFile `yaml:"palette"`
}

type localUI struct {
	Bundles string `yaml:"bundles"`
}

type boot struct {
	Port        int    `yaml:"port"`
	HTTPSPort   int    `yaml:"https_port"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

type deadlines struct {
	Discover string `yaml:"discover"`
	Verify   string `yaml:"verify"`
	Install  string `yaml:"install"`
	Register string `yaml:"register"`
}

type powerOn struct {
	Hosts int    `yaml:"hosts"`
	Every string `yaml:"every"`
}

type network struct {
	Interface            string `yaml:"interface"`
	DHCP                 string `yaml:"dhcp"`
	Pool                 string `yaml:"pool"`
	Router               string `yaml:"router"`
	DNS                  list   `yaml:"dns"`
	NTP                  list   `yaml:"ntp"`
	Unknown              string `yaml:"unknown"`
	Loader               string `yaml:"loader"`
	RouterAdvertisements *bool  `yaml:"router_advertisements"`
}

// list is one text or a list of them.
type list []string

// UnmarshalYAML implements the YAML library's InterfaceUnmarshaler.
func (l *list) UnmarshalYAML(decode func(any) error) error {
	var one string
	if err := decode(&one); err == nil {
		*l = list{one}
		return nil
	}
	return decode((*[]string)(l))
}
