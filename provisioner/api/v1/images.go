package v1

import "time"

// Image is an installer, netboot set or disk image in the catalog.
type Image struct {
	Digest  string            `json:"digest"` // sha256:…
	Name    string            `json:"name"`
	Size    int64             `json:"size"` // bytes
	Family  string            `json:"family"`
	Label   string            `json:"label"`
	Added   time.Time         `json:"added"`
	Why     []string          `json:"why"`   // how its family was recognised; never null
	Lacks   []string          `json:"lacks"` // what a known layout has and it has not; never null
	Version map[string]string `json:"version"`
	Orders  []string          `json:"orders"` // that name it; never null
}
