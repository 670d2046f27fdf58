package provisioner

import "time"

// Way is how an image reaches a host.
type Way string

// The ways.
const (
	WayNetboot  Way = "netboot"   // the installer's kernel and initrd, by a boot loader or by kexec
	WayMedia    Way = "media"     // the host's own ISO in a drive: virtual media, or a person's doing
	WayUEFIHTTP Way = "uefi-http" // the host's own ISO, fetched whole by its firmware
	WayWrite    Way = "write"     // a disk image that the scout writes
)

// Rendering is all that one install attempt gives its host, made once when the
// attempt begins and kept sealed: whatever becomes of order, template,
// configuration or clock, the attempt's URLs give the same bytes for its life.
type Rendering struct {
	Attempt AttemptID `json:"attempt"`
	Image   string    `json:"image"` // digest
	Way     Way       `json:"way"`
	Made    time.Time `json:"made"`
	// Because is why it goes that way and not the first of its image's; a part of
	// a sentence, empty where there is nothing to say.
	Because string `json:"because,omitempty"`
	// Documents are the configuration as the boot plane serves it, each by its
	// name: "config", or those that a NoCloud seed consists of.
	Documents []Document `json:"documents,omitempty"`
	Args      []string   `json:"args,omitempty"`   // kernel arguments of a netboot beside the recipe's
	Medium    []Change   `json:"medium,omitempty"` // what differs in the host's ISO
	Seed      []Document `json:"seed,omitempty"`   // files of the NoCloud volume beside a disk image
	// Hidden are the secrets in it, as its order had them: who shows any of this
	// to people covers them.
	Hidden []Secret `json:"hidden,omitempty"`
}

// Document is one text that a host reads.
type Document struct {
	Name    string `json:"name"`
	Type    string `json:"type,omitempty"` // media type
	Content []byte `json:"content"`
}

// Change is one difference of a host's ISO: a file, or kernel arguments.
type Change struct {
	Path    string   `json:"path,omitempty"` // of a file, absolute; empty for kernel arguments
	Content []byte   `json:"content,omitempty"`
	Args    []string `json:"args,omitempty"` // put last in every boot loader's configuration
	Drop    []string `json:"drop,omitempty"` // taken out before
}

// Document returns the document of that name.
func (r Rendering) Document(name string) (Document, bool) {
	for _, d := range r.Documents {
		if d.Name == name {
			return d, true
		}
	}
	return Document{}, false
}

// Prepared records that the present install attempt has its [Rendering], or
// why it has none: not yet, or, where there is a way, no more.
type Prepared struct {
	Attempt AttemptID `json:"attempt"`
	At      time.Time `json:"at"`
	Way     Way       `json:"way,omitempty"`     // empty while there is none
	Image   string    `json:"image,omitempty"`   // digest of what the host boots or is written
	Because string    `json:"because,omitempty"` // why that way; as in the rendering
	Problem string    `json:"problem,omitempty"` // a sentence that says what a person must do
}

// Progress is how far a transfer of one attempt is.
type Progress struct {
	Attempt AttemptID `json:"attempt"`
	Stage   string    `json:"stage"` // rootfs, medium, write, verify, ...
	Bytes   int64     `json:"bytes"`
	Total   int64     `json:"total,omitempty"` // 0 where nobody knows
	Began   time.Time `json:"began"`
	At      time.Time `json:"at"` // of the last byte counted
}
