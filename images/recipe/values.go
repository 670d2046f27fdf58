package recipe

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Values are all that a template may see of a host and of what is done to it.
// They are plain data, without methods and without a way to anything else.
type Values struct {
	Site    Site
	Order   Order
	Host    Identity
	Attempt string // id of the install attempt
	Disk    Target
	NICs    []NIC
	Network Network
	Secrets map[string]string
	After   string            // "reboot" or "poweroff", when installed
	Ship    bool              // the installed system powers off where the answer to URLs.Booted is the word poweroff
	Version map[string]string // of the image, by what it is of, such as kairos
	Label   string            // volume label of the medium that the host boots; empty where there is none
	URL     URLs
	Handoff map[string]any // the hand-off driver's own cloud-config keys
}

// Site is the place.
type Site struct {
	Name     string
	TimeZone string            // of the tz database; empty: UTC
	Values   map[string]string // whatever else templates of the site want
}

// Order is the batch.
type Order struct{ Name string }

// Identity says which host it is.
type Identity struct {
	ID     string // muster's
	Name   string // host name, one DNS label
	Serial string
	UUID   string
	MACs   []string
}

// Target is the disk that is installed to.
type Target struct {
	ByID   string // name below /dev/disk/by-id
	Kernel string // its kernel's name for it when it was seen, such as nvme0n1; may be another at the next boot
	Path   string // empty: made from ByID
	Serial string
	Model  string
	Bytes  uint64
}

// NIC is one network interface.
type NIC struct {
	Name   string // as the scout's kernel called it
	MAC    string
	Driver string
	Booted bool // the host boots from it
}

// Network is the fixed address of one interface of the host. The zero value is
// DHCP.
type Network struct {
	MAC     string // of the interface; empty: the one that the host boots from
	Address string // an IP address
	Prefix  int    // its length in bits
	Gateway string
	DNS     []string
	VLAN    int // 0: untagged
}

// Static tells whether the host has a fixed address.
func (n Network) static() bool { return n.Address != "" }

// URLs are muster's, of one attempt. Those that are called get a POST; an empty
// one is not called. Only Writing is a question: if its answer is no, or does
// not come, the host powers off and its disk is not written. The failure of the
// others stops nothing.
type URLs struct {
	Config    string // of the main document
	Seed      string // below which all documents lie by their names, without a slash at the end
	Early     string // called when the installer has read its configuration
	Writing   string // asked before the first destructive act
	Written   string // called when the installer is done
	Booted    string // called at each boot of the installed system, when its network is up
	PhoneHome string // called by cloud-init's phone_home
	Report    string // called by an installer that reports its events to a webhook
	Register  string // for the agent; called by no template of muster's own
}

// The ways in which an installation may end.
const (
	reboot   = "reboot"
	powerOff = "poweroff"
)

// probed fills in what is not known before the host was seen, so that a
// template can be tried: a disk and an interface of the right form, and calls.
func (v Values) probed() Values {
	v.Host.ID, v.Attempt = cmp.Or(v.Host.ID, "h-probe"), cmp.Or(v.Attempt, "a-probe")
	v.Host.Name = cmp.Or(v.Host.Name, "probe")
	v.Host.Serial = cmp.Or(v.Host.Serial, "PROBE0001")
	v.Host.UUID = cmp.Or(v.Host.UUID, "00000000-0000-4000-8000-000000000001")
	if v.Disk.ByID == "" {
		v.Disk = Target{ByID: "nvme-PROBE_0001", Kernel: "nvme0n1", Serial: "PROBE0001", Model: "PROBE", Bytes: 1 << 40}
	}
	if len(v.NICs) == 0 {
		v.NICs = []NIC{{Name: "eth0", MAC: "02:00:00:00:00:01", Driver: "probe", Booted: true}}
	}
	if len(v.Host.MACs) == 0 {
		v.Host.MACs = []string{v.NICs[0].MAC}
	}
	v.After = cmp.Or(v.After, reboot)
	const base = "http://192.0.2.1:8067/a/probe" // RFC 5737 §3: an address of nobody
	for name, url := range v.URL.all() {
		*url = cmp.Or(*url, base+"/"+name)
	}
	return v
}

// all are the addresses of the URLs by their names.
func (u *URLs) all() map[string]*string {
	return map[string]*string{"config": &u.Config, "seed": &u.Seed, "early": &u.Early, "writing": &u.Writing,
		"written": &u.Written, "booted": &u.Booted, "phone-home": &u.PhoneHome, "report": &u.Report, "register": &u.Register}
}

// filled is v with what follows from the rest.
func (v Values) filled() Values {
	v.Disk.Path = cmp.Or(v.Disk.Path, "/dev/disk/by-id/"+v.Disk.ByID)
	v.Site.TimeZone = cmp.Or(v.Site.TimeZone, "UTC")
	v.Attempt = cmp.Or(v.Attempt, v.Host.ID)
	return v
}

// The letters of a host name and of a disk's name. The latter are those that
// udev leaves in such names (util_replace_chars), less the backslash.
const (
	nameLetters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	diskLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:._~-#+=@"
)

// check refuses values that muster's own lines could not hold.
func (v Values) check() error {
	if err := checkLetters(v.Host.Name, nameLetters); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := checkLetters(v.Disk.ByID, diskLetters); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	if v.Disk.Path != "/dev/disk/by-id/"+v.Disk.ByID {
		return fmt.Errorf("disk: %q is not %s below /dev/disk/by-id", v.Disk.Path, v.Disk.ByID)
	}
	if v.Disk.Kernel != "" {
		if err := checkLetters(v.Disk.Kernel, diskLetters); err != nil {
			return fmt.Errorf("disk: %w", err)
		}
	}
	if v.After != reboot && v.After != powerOff {
		return fmt.Errorf("after: %q is not one of reboot, poweroff", v.After)
	}
	if err := checkLetters(v.Site.TimeZone, letters+"+"); err != nil {
		return fmt.Errorf("time zone: %w", err)
	}
	urls := v.URL.all()
	for _, name := range slices.Sorted(maps.Keys(urls)) {
		if url := *urls[name]; url != "" {
			if err := checkURL(name, url); err != nil {
				return err
			}
		}
	}
	if v.Network.VLAN != 0 && !v.Network.static() {
		return fmt.Errorf("network: the host asks DHCP on VLAN %d, which muster can tell its scout and no installer; give its row an address", v.Network.VLAN)
	}
	return v.Network.check()
}

func (n Network) check() error {
	if mac, err := net.ParseMAC(n.MAC); n.MAC != "" && (err != nil || len(mac) != 6) {
		return fmt.Errorf("network: %q is no MAC address", n.MAC)
	}
	if n.VLAN < 0 || n.VLAN > 4094 { // IEEE 802.1Q-2018 §9.6
		return fmt.Errorf("network: %d is no VLAN", n.VLAN)
	}
	if !n.static() {
		return nil
	}
	address, err := netip.ParseAddr(n.Address)
	if err != nil || address.Zone() != "" {
		return fmt.Errorf("network: %q is no IP address", n.Address)
	}
	if n.Prefix < 1 || n.Prefix > address.BitLen() {
		return fmt.Errorf("network: %d is no prefix length of %s", n.Prefix, n.Address)
	}
	for _, other := range append(given(n.Gateway), n.DNS...) {
		if a, err := netip.ParseAddr(other); err != nil || a.Zone() != "" {
			return fmt.Errorf("network: %q is no IP address", other)
		}
	}
	return nil
}

// bootMAC is that of the interface that the host reaches muster by, in lower
// case; it may be empty.
func (v Values) bootMAC() string {
	if v.Network.MAC != "" {
		return strings.ToLower(v.Network.MAC)
	}
	i := slices.IndexFunc(v.NICs, func(n NIC) bool { return n.Booted })
	switch {
	case i >= 0:
		return strings.ToLower(v.NICs[i].MAC)
	case len(v.NICs) == 1:
		return strings.ToLower(v.NICs[0].MAC)
	}
	return ""
}
