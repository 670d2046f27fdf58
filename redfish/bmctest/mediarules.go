package bmctest

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// mediaRules are those of virtual media.
type mediaRules struct {
	Slots []slotRules `yaml:"slots"`
	// SystemLink is where the System's VirtualMedia link points: to a
	// collection of its own, to the manager's, or empty for no link.
	SystemLink string `yaml:"system_link"`
	// Hidden lists no slot before something is mounted.
	Hidden bool `yaml:"hidden"`
	// ServiceOff refuses media until the service was enabled at the manager.
	ServiceOff bool `yaml:"service_off"`
	// Single refuses a medium while another slot holds one.
	Single bool `yaml:"single"`

	Schemes  []string `yaml:"schemes"`
	Suffixes []string `yaml:"suffixes"` // of the path; none means any
	Query    bool     `yaml:"query"`    // ? and & are taken
	Names    bool     `yaml:"names"`    // host names are taken, not only addresses
	Folder   bool     `yaml:"folder"`   // the file must lie in a folder
	Longest  int      `yaml:"longest"`  // characters of a URL; 0 means any

	Refuse   []string `yaml:"refuse"` // parameters that are no valid properties
	Require  []string `yaml:"require"`
	Method   string   `yaml:"method"`   // the only TransferMethod, if one is given
	Agree    bool     `yaml:"agree"`    // TransferProtocolType must be the URL's scheme
	Inserted bool     `yaml:"inserted"` // without Inserted: true nothing is mounted
	Occupied bool     `yaml:"occupied"` // a full slot must be ejected first

	Answer    int  `yaml:"answer"`     // 200, 201, 202 or 204
	EjectBody bool `yaml:"eject_body"` // an eject without a JSON body is refused
	// EjectEmpty refuses the eject of an empty slot.
	EjectEmpty bool `yaml:"eject_empty"`
	// Stale is for how many seconds an ejected medium is still shown inserted;
	// an insert meanwhile is answered with a 5xx.
	Stale      int  `yaml:"stale"`
	KeepsImage bool `yaml:"keeps_image"` // Image outlives the eject
	EmptyImage bool `yaml:"empty_image"` // Image is "" and not null

	// Probe is what it fetches inside the insert: head, range (HEAD and one
	// range), get (everything) or none.
	Probe string `yaml:"probe"`
	Agent string `yaml:"agent"` // its User-Agent
	Chunk int    `yaml:"chunk"` // bytes of one read
	// Verify checks the certificate of an https image; VerifySwitch offers
	// VerifyCertificate on each slot to change that.
	Verify       bool `yaml:"verify"`
	VerifySwitch bool `yaml:"verify_switch"`
	// BootsOnce offers Oem.Hpe.BootOnNextServerReset on each slot.
	BootsOnce bool `yaml:"boots_once"`
}

// slotRules is one virtual drive.
type slotRules struct {
	ID    string   `yaml:"id"`
	Place string   `yaml:"place"` // system or manager
	Types []string `yaml:"types"` // none means that MediaTypes is missing
	// Control is how a medium gets in: post (the standard actions), patch,
	// cfgcd (IsoConfig.Mount), vmm (VmmControl) or view (a remote console only).
	Control string `yaml:"control"`
	// EjectLate offers the eject action only while something is inserted.
	EjectLate bool `yaml:"eject_late"`
	// Fails is the word for a drive that refuses every medium.
	Fails string `yaml:"fails"`
	// Dead drives take a medium and never boot it.
	Dead bool `yaml:"dead"`
}

func (s slotRules) check() error {
	if !slices.Contains([]string{"system", "manager"}, s.Place) {
		return fmt.Errorf("place is %q; want system or manager", s.Place)
	}
	if !slices.Contains([]string{"post", "patch", "cfgcd", "vmm", "view"}, s.Control) {
		return fmt.Errorf("control is %q", s.Control)
	}
	return nil
}

// disc tells whether the drive takes CD images.
func (s slotRules) disc() bool {
	return len(s.Types) == 0 || slices.Contains(s.Types, "CD") || slices.Contains(s.Types, "DVD")
}

// objection is why a URL is not taken: the key of a refusal, or empty.
func (r mediaRules) objection(image string) string {
	u, err := url.Parse(image)
	switch {
	case err != nil || u.Host == "" && u.Scheme != "nfs":
		return "url"
	case !slices.Contains(r.Schemes, u.Scheme):
		return "scheme"
	case r.Longest > 0 && len(image) > r.Longest:
		return "long"
	case !r.Query && strings.ContainsAny(image, "?&"):
		return "query"
	case !r.Names && net.ParseIP(u.Hostname()) == nil:
		return "name"
	case !r.suffixed(u.Path):
		return "suffix"
	case r.Folder && strings.Count(u.Path, "/") < 2:
		return "folder"
	}
	return ""
}

func (r mediaRules) suffixed(p string) bool {
	return len(r.Suffixes) == 0 || slices.ContainsFunc(r.Suffixes, func(s string) bool { return strings.HasSuffix(strings.ToLower(p), s) })
}

// insertion is what a client asks of a slot.
type insertion struct {
	image    string
	inserted bool
}

// readInsert judges the body of an insert: what is asked, or the key of a
// refusal and the parameter it is about.
func (r mediaRules) readInsert(body object) (in insertion, key, about string) {
	for _, name := range sortedKeys(body) {
		if slices.Contains(r.Refuse, name) || !slices.Contains(insertParameters, name) {
			return in, "unknown", name
		}
	}
	for _, name := range append([]string{"Image"}, r.Require...) {
		if _, ok := body[name]; !ok {
			return in, "missing", name
		}
	}
	image, ok := body["Image"].(string)
	if !ok || image == "" {
		return in, "missing", "Image"
	}
	in = insertion{image: image, inserted: true}
	given, said := body["Inserted"].(bool)
	if said && !given && r.Method != "" {
		return in, "value", "Inserted"
	}
	if said || r.Inserted {
		in.inserted = given
	}
	if m, ok := body["TransferMethod"].(string); ok && r.Method != "" && m != r.Method {
		return in, "value", "TransferMethod"
	}
	scheme, _, _ := strings.Cut(image, "://")
	if t, ok := body["TransferProtocolType"].(string); ok && r.Agree && !strings.EqualFold(t, scheme) {
		return in, "value", "TransferProtocolType"
	}
	return in, r.objection(image), "Image"
}

// insertParameters are those of VirtualMedia.InsertMedia (VirtualMedia v1.6).
var insertParameters = []string{"Image", "Inserted", "WriteProtected", "MediaTypes", "TransferMethod", "TransferProtocolType", "UserName", "Password"}
