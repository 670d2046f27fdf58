// Package config turns muster's YAML file into a checked, immutable Config.
//
// It opens no socket, looks at no network interface and holds no secret: what
// must be kept from readers of the file is named by the path of another file.
// Unknown keys are refused, and every error names its key path and line. Start
// at [Load] and [Parse]; the defaults are all in defaults.go.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/inventory/strictyaml"
)

// Config is a checked configuration. It is a value: nobody changes it, or the
// slices in it, after Parse returned it.
type Config struct {
	Data      string // directory of everything that muster keeps; absolute
	Socket    string // unix socket of the people's API; absolute
	Recipes   string // directory of the site's own image recipes; absolute; empty: none
	BootPort  uint16 // TCP port of the boot plane's HTTP
	BootTLS   BootTLS
	LogLevel  zerolog.Level
	Deadlines Deadlines
	PowerOn   PowerOn
	Site      Site
	Handoff   Handoff
	Networks  []Network // at least one
	Webhooks  []Webhook
}

// Webhook is a system that is told what happens to hosts.
type Webhook struct {
	Name       string // unique
	URL        string // https
	SecretFile string // absolute
	CAFile     string // absolute; empty: the system's authorities
	Events     []string
}

// BootTLS is the boot plane by HTTPS.
type BootTLS struct {
	Port uint16 // TCP
	// Certificate and Key are PEM files, absolute; both empty: muster makes its own.
	Certificate, Key string
}

// Site is what templates of installer configurations may say of this place.
type Site struct {
	Name     string            // may be empty
	TimeZone string            // of the tz database, e.g. Europe/Oslo
	Values   map[string]string // by name; whatever else templates want
}

// Handoff is what hand-offs need of this place, whatever the order.
type Handoff struct {
	LocalUI LocalUI
	Palette Palette
}

// LocalUI is for hosts that are managed locally.
type LocalUI struct {
	Bundles string // directory of content bundles and cluster definitions; absolute; empty: none
}

// Deadlines bound the phases of a host.
type Deadlines struct {
	Discover time.Duration // from first contact to the scout's report
	Verify   time.Duration // from the report to the verdict
	Install  time.Duration // from the verdict to the installed system's first call
	Register time.Duration // from that call to the hand-off's receipt
}

// PowerOn bounds how many hosts are started by their BMCs at once.
type PowerOn struct {
	Hosts int           // so many at most, in each period
	Every time.Duration // the period
}

// Network is one interface that muster serves on.
type Network struct {
	Interface            string
	DHCP                 DHCP
	Pool                 Pool       // set if and only if DHCP is DHCPFull
	Router               netip.Addr // invalid: none is announced
	DNS                  []netip.Addr
	NTP                  []netip.Addr
	Unknown              Unknown
	Loader               Loader
	RouterAdvertisements bool
}

// Pool is a range of IPv4 addresses, both ends included.
type Pool struct{ From, To netip.Addr }

// DHCP says which part of DHCP muster plays on a network.
type DHCP string

// The parts.
const (
	DHCPFull DHCP = "full" // addresses and boot files
	DHCPOff  DHCP = "off"  // neither: hosts are brought to muster by other means
)

// Unknown says what a host gets that no manifest lists.
type Unknown string

// The answers.
const (
	UnknownSilent   Unknown = "silent"   // no packet at all
	UnknownDiscover Unknown = "discover" // the scout, and nothing else
)

// Loader says which boot loader a client is given.
type Loader string

// The choices.
const (
	LoaderAuto   Loader = "auto"   // a NIC's own iPXE is used as it is
	LoaderAlways Loader = "always" // a NIC's own iPXE is given muster's, too
)

// fileLimit bounds what is read of the configuration file, in bytes; the
// reader of YAML refuses what is nearly as large.
const fileLimit = 2 << 20

// Load reads the file called name, or the defaults where name is empty. A data
// directory that is not empty wins over the file's.
func Load(name, data string) (Config, error) {
	if name == "" {
		return Config{}, fmt.Errorf("no configuration file is named: write one and give it with --config\n\n%s", minimal)
	}
	text, err := read(name)
	if err != nil {
		return Config{}, err
	}
	return parse(name, text, data)
}

// Parse checks text; name stands in its errors. Relative paths in it are
// relative to the working directory.
func Parse(name string, text []byte) (Config, error) { return parse(name, text, "") }

func parse(name string, text []byte, data string) (Config, error) {
	raw := defaults()
	doc, err := strictyaml.Decode(text, &raw)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	if data != "" {
		raw.Data = data
	}
	return check(raw, func(path, fault string) error {
		return fmt.Errorf("%s: %w", name, doc.Errorf(path, "%s", fault))
	})
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration file %s: write one like this\n\n%s", name, minimal)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileLimit))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return text, nil
}

// absolute resolves a path of the file against the working directory.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", path, err)
	}
	return abs, nil
}
