// Package recipe says, as data, how one family of images is recognised, how it
// boots, how it takes its per-host configuration, how its installation ends,
// and what it cannot do.
//
// It reads no image and serves nothing: a caller shows it what an image holds
// and gives it addresses, it gives back values. It puts no text into a command
// line or a shell command that it has not checked letter by letter, and it
// boots no installer whose configuration muster cannot write. Its templates
// reach nothing but the values they are given, and end in bounded time and
// space. Start at [Builtin] and [Book.Recognise], then [Recipe.Ways],
// [Recipe.Netboot] and [Recipe.Render]; the families are in the files of
// families/, muster's own part of their configurations in those of layers/.
package recipe

import (
	"fmt"
	"slices"
	"strings"
)

// Recipe is one family of images.
type Recipe struct {
	Family string `yaml:"family"`
	About  string `yaml:"about"`
	Form   Form   `yaml:"form"`

	// How an image of the family is told. Needs are paths that every one has; a
	// need may be a choice: "/a or /b". Without are paths that none has. Label
	// is the volume label where the installer itself insists on one. Labels are
	// usual ones, which support and decide nothing.
	Needs   []string `yaml:"needs"`
	Without []string `yaml:"without"`
	Label   string   `yaml:"label"`
	Labels  []string `yaml:"labels"`

	// What netboot starts: paths in the image, and arguments with {words} that
	// [Values] replace. Without a kernel the family does not boot so.
	Kernel  string   `yaml:"kernel"`
	Initrds []string `yaml:"initrds"`
	Rootfs  string   `yaml:"rootfs"`
	Cmdline []string `yaml:"cmdline"`

	Static   Static      `yaml:"static"`
	Media    Media       `yaml:"media"`
	Config   Config      `yaml:"config"`
	Template string      `yaml:"template"` // of each host's configuration, below the order's
	Ends     string      `yaml:"ends"`     // what the end of an installation looks like from outside
	Proven   []Transport `yaml:"proven"`   // with which muster has installed the real thing

	// Carried are the ways by which an image reaches a host, the best first;
	// unless named, all that its form allows save UEFI HTTP boot, which needs an
	// installer that finds its medium in memory. Not says why it goes by no other.
	Carried []Transport          `yaml:"ways"`
	Not     map[Transport]string `yaml:"not"`
	Traits  []Trait              `yaml:"traits"`
	Tells   Tells                `yaml:"tells"` // what the files in its root file system tell of an image

	LeavesBehind []Left   `yaml:"leaves_behind"`
	Cannot       []string `yaml:"cannot"` // sentences, said of every image of the family
}

// Media is how an image is changed for one host when it boots as a medium.
type Media struct {
	Menus   []string `yaml:"menus"`   // boot menus, of which an image has some
	Cmdline []string `yaml:"cmdline"` // arguments that are added to their kernels'
	File    string   `yaml:"file"`    // where the host's configuration is put
}

// Config is how an installer is told about its host: in
// which language, and for people by which way that comes in.
type Config struct {
	Format  Format `yaml:"format"`
	Netboot string `yaml:"netboot"`
	Media   string `yaml:"media"`
	Seed    string `yaml:"seed"`
	// ByIDSince are, by what a version is of, the first whose installer finds a
	// disk by its name below /dev/disk/by-id; "never": none does. One that is
	// reached is enough. Empty: the family's always did.
	ByIDSince map[string]string `yaml:"by_id_since"`
	Install   string            `yaml:"install"` // of Ignition: the command, a template, by which the live system writes the disk
}

// Static is how a host is told a fixed address, beside what the format of its
// configuration has for it.
type Static struct {
	Kernel KernelWords   `yaml:"kernel"` // on the kernel's command line; empty: not there
	System NetworkSystem `yaml:"system"` // in a file of the installed system; empty: the format says it
}

// KernelWords are a language for addresses on the kernel's command line.
type KernelWords string

// The languages.
const (
	Dracut       KernelWords = "dracut" // dracut.cmdline(7)
	Klibc        KernelWords = "klibc"  // nfsroot.rst of the kernel, as initramfs-tools reads it: IPv4 without VLANs
	TalosAddress KernelWords = "talos"  // the same with VLANs, and the port by its MAC
)

// NetworkSystem is what sets up the network of an installed system.
type NetworkSystem string

// The systems.
const (
	Networkd       NetworkSystem = "networkd"
	NetworkManager NetworkSystem = "network-manager"
)

// Left is something that an image may hold and that netboot does not carry.
type Left struct {
	Path  string `yaml:"path"`
	What  string `yaml:"what"`
	Whole bool   `yaml:"whole"` // an image that has it goes whole where its host can take it so
}

// String is what it is and where, for a sentence.
func (l Left) String() string { return l.What + " (" + l.Path + ")" }

// Form is how an image is kept.
type Form string

// The forms.
const (
	ISO  Form = "iso"  // one ISO 9660 image
	Set  Form = "set"  // several plain files
	Disk Form = "disk" // the content of a disk, raw, compressed or qcow2
)

// Transport is a way by which an image reaches a host.
type Transport string

// The transports.
const (
	Netboot  Transport = "netboot"   // kernel and initrd by a boot loader
	Medium   Transport = "media"     // the ISO as virtual media
	UEFIHTTP Transport = "uefi-http" // the ISO by the firmware's HTTP boot, which leaves it in memory
	Write    Transport = "write"     // written to the disk by the scout
)

// Format is the language of an installer's configuration.
type Format string

// The formats.
const (
	None        Format = "none"
	CloudConfig Format = "cloud-config" // of Kairos
	NoCloud     Format = "nocloud"      // of cloud-init, on a volume of its own
	Autoinstall Format = "autoinstall"
	Preseed     Format = "preseed"
	Kickstart   Format = "kickstart"
	Ignition    Format = "ignition"
	Talos       Format = "talos"
)

// written tells whether muster writes the format. An installer that got nothing
// would wait for a person, or take the first disk.
func (f Format) written() bool {
	switch f {
	case None, CloudConfig, NoCloud, Autoinstall, Preseed, Kickstart, Ignition, Talos:
		return true
	}
	return false
}

// Listing is what an image holds.
type Listing interface {
	Form() Form
	Label() string        // volume label, empty where there is none
	Has(path string) bool // whether there is such a file or directory
}

// Paths are those that telling the family asks a [Listing] for.
func (r Recipe) Paths() []string {
	var paths []string
	for _, need := range r.Needs {
		paths = append(paths, choices(need)...)
	}
	paths = append(paths, r.Without...)
	for _, l := range r.LeavesBehind {
		paths = append(paths, l.Path)
	}
	return paths
}

// choices are the paths any of which is enough for a need.
func choices(need string) []string { return strings.Split(need, " or ") }

// differs says what keeps an image from being of the family.
func (r Recipe) differs(l Listing) []string {
	var differs []string
	for _, need := range r.Needs {
		if found(l, need) == "" {
			differs = append(differs, fmt.Sprintf("it has no %s, which every %s (%s) has", need, r.About, r.Family))
		}
	}
	for _, path := range r.Without {
		if l.Has(path) {
			differs = append(differs, fmt.Sprintf("it has %s, which no %s (%s) has", path, r.About, r.Family))
		}
	}
	if r.Label != "" && l.Label() != r.Label {
		differs = append(differs, fmt.Sprintf("its volume label is %q, that of every %s (%s) is %s", l.Label(), r.About, r.Family, r.Label))
	}
	return differs
}

// found is the path by which an image meets a need, or nothing.
func found(l Listing, need string) string {
	for _, path := range choices(need) {
		if l.Has(path) {
			return path
		}
	}
	return ""
}

// why says what the family was told by.
func (r Recipe) why(l Listing) []string {
	var why, paths []string
	for _, need := range r.Needs {
		paths = append(paths, found(l, need))
	}
	if len(paths) > 0 {
		why = append(why, "it has "+strings.Join(paths, ", "))
	}
	if len(r.Without) > 0 {
		why = append(why, "it has no "+strings.Join(r.Without, ", "))
	}
	for _, label := range append([]string{r.Label}, r.Labels...) {
		if label != "" && l.Label() == label {
			why = append(why, "its volume label is "+label)
		}
	}
	return why
}

// Needed is what netboot leaves behind of an image, and without which its hosts
// are not what the image was made for.
func (r Recipe) Needed(l Listing) []Left {
	return slices.DeleteFunc(r.left(l), func(thing Left) bool { return !thing.Whole })
}

func (r Recipe) left(l Listing) []Left {
	var left []Left
	for _, thing := range r.LeavesBehind {
		if l.Has(thing.Path) {
			left = append(left, thing)
		}
	}
	return left
}

// lacks says what an image of the family does not give.
func (r Recipe) lacks(l Listing) []string {
	var lacks []string
	for _, thing := range r.left(l) {
		lacks = append(lacks, fmt.Sprintf("netboot leaves %s behind (%s); boot it from virtual media if the host needs that", thing.What, thing.Path))
	}
	if !r.Config.Format.written() {
		lacks = append(lacks, fmt.Sprintf("muster does not write the installer's configuration (%s), so no order installs it", r.Config.Format))
	}
	return append(lacks, r.Cannot...)
}
