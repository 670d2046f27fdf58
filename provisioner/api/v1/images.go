package v1

import "time"

// Image is an installer, netboot set or disk image in the catalog.
type Image struct {
	Digest  string            `json:"digest"` // sha256
	Name    string            `json:"name"`   // the tag that it was given last; empty where none names it
	Tags    []string          `json:"tags"`   // never null
	Form    string            `json:"form"`   // iso, set, disk
	Size    int64             `json:"size"`   // bytes
	Family  string            `json:"family"`
	Label   string            `json:"label"`
	Coding  string            `json:"coding"` // of a disk: raw, gzip, xz, zstd, qcow2
	Traits  []string          `json:"traits"` // that it, or whoever added it, says it has; never null
	Added   time.Time         `json:"added"`
	Why     []string          `json:"why"`     // how its family was recognised; never null
	Lacks   []string          `json:"lacks"`   // what it has not, or cannot do; never null
	Damage  []Damage          `json:"damage"`  // that a scrub found; never null
	Version map[string]string `json:"version"` // by what it is of, such as kairos or agent: as whoever added it said, then as it says itself
	Orders  []string          `json:"orders"`  // that name it; never null

	// Only in an answer about one image.
	Recipe  *Recipe   `json:"recipe,omitempty"`
	History []TagStep `json:"history,omitempty"` // of its tags, the latest first
}

// Recipe says how images of one family boot and are told about their host.
type Recipe struct {
	About   string   `json:"about"`
	Netboot []string `json:"netboot"` // kernel arguments, with words to be filled in; never null
	Media   []string `json:"media"`   // arguments added on a medium; never null
	File    string   `json:"file"`    // where a host's configuration is put on a medium
	Format  string   `json:"format"`  // of the configuration
	Ends    string   `json:"ends"`    // what the end of an installation looks like
	Proven  []string `json:"proven"`  // transports by which muster has installed the real thing; never null
	Refuses string   `json:"refuses"` // why no order can install it; empty: one can
	Ways    []Way    `json:"ways"`    // by which this image reaches a host, the best first, then the others; never null
}

// Way is a transport of an image.
type Way struct {
	Transport string `json:"transport"` // netboot, media, uefi-http, write
	WhyNot    string `json:"why_not"`   // empty: it can go so
}

// TagStep is one step of a tag.
type TagStep struct {
	Tag    string    `json:"tag"`
	Digest string    `json:"digest"` // of the image that it came to name; empty: none
	At     time.Time `json:"at"`
}

// Damage is one file of an image that is not what was added.
type Damage struct {
	File     string `json:"file"`     // of a set; empty: the image itself
	Expected string `json:"expected"` // sha256
	Seen     string `json:"seen"`     // sha256; empty: it could not be read
	Why      string `json:"why"`      // it could not be read
}

// NewImage goes with an image that is added.
type NewImage struct {
	Name      string `json:"name"`
	URL       string `json:"url"`       // the server fetches it; empty: the content is sent
	SHA256    string `json:"sha256"`    // that the content must have; empty: any
	Sums      string `json:"sums"`      // lines of sha256sum, one of which is for File
	SumsURL   string `json:"sums_url"`  // where the server fetches such lines
	File      string `json:"file"`      // name in the lines; empty: the last part of URL
	Key       string `json:"key"`       // minisign public key
	Signature string `json:"signature"` // over the content, made with minisign

	Traits  []string          `json:"traits,omitempty"`  // of its family, such as content, beside what it says itself
	Version map[string]string `json:"version,omitempty"` // by what it is of, such as agent; it counts before what the image says itself
}

// NewTag names the image that a tag is to name.
type NewTag struct {
	Image string `json:"image"`
}

// Garbage is what was removed, or would be.
type Garbage struct {
	Images []Image `json:"images"` // never null
	Parts  int     `json:"parts"`  // fetched in part
	Freed  int64   `json:"freed"`  // bytes
}

// Work is one line of the answer to something long: how far it is, and in the
// last line what came of it.
type Work struct {
	Done    int64    `json:"done"`  // bytes
	Total   int64    `json:"total"` // bytes, 0 where nobody knows
	Image   *Image   `json:"image,omitempty"`
	Damaged []Image  `json:"damaged,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
	End     bool     `json:"end,omitempty"` // the last line
}

// WorkType is the media type of lines of Work.
const WorkType = "application/x-ndjson"
