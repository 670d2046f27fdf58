package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Move is one step of a tag: at that time it came to name the image of that
// digest, or, with no digest, none any more.
type Move struct {
	Digest string    `json:"digest,omitempty"`
	At     time.Time `json:"at"`
}

// Step is a move and whose it is.
type Step struct {
	Tag string
	Move
}

// tags are all tags with their moves, the oldest first. A name that people give
// an image is a tag that has moved once.
type tags map[string][]Move

// maxMoves is how much of a tag's past is kept.
const maxMoves = 100

// names is the digest of the image that a tag names, or nothing.
func (t tags) names(tag string) string {
	moves := t[tag]
	if len(moves) == 0 {
		return ""
	}
	return moves[len(moves)-1].Digest
}

// of are the tags that name an image, the one that was moved last in front.
func (t tags) of(digest string) []string {
	var of []string
	for tag := range t {
		if t.names(tag) == digest {
			of = append(of, tag)
		}
	}
	slices.SortFunc(of, func(a, b string) int {
		if order := t.moved(b).Compare(t.moved(a)); order != 0 {
			return order
		}
		return strings.Compare(a, b)
	})
	return of
}

// moved is when a tag moved last.
func (t tags) moved(tag string) time.Time { return t[tag][len(t[tag])-1].At }

// with returns tags in which one has moved on.
func (t tags) with(tag string, m Move) tags {
	all := maps.Clone(t)
	if all == nil {
		all = tags{}
	}
	moves := append(slices.Clone(t[tag]), m)
	all[tag] = moves[max(0, len(moves)-maxMoves):]
	return all
}

// tagged is the image with the tags that name it.
func (c *Catalog) tagged(i Image) Image {
	i.Name, i.Tags = "", c.tags.of(i.Digest)
	if len(i.Tags) > 0 {
		i.Name = i.Tags[0]
	}
	slices.Sort(i.Tags)
	return i
}

// Tag lets a tag name an image from now on; it moves from the image that it
// named before.
func (c *Catalog) Tag(ref, tag string) (Image, error) {
	if tag == "" {
		return Image{}, errors.New("tag image: give the tag a name")
	}
	if err := checkTag(tag); err != nil {
		return Image{}, fmt.Errorf("tag image: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i, err := c.find(ref)
	if err != nil {
		return Image{}, fmt.Errorf("tag image: %w", err)
	}
	if err := c.moveTag(tag, i.Digest); err != nil {
		return Image{}, fmt.Errorf("tag image %s: %w", i.title(), c.explain(err))
	}
	return c.tagged(i), nil
}

// Untag lets a tag name nothing. Its past is kept.
func (c *Catalog) Untag(tag string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tags.names(tag) == "" {
		return fmt.Errorf("tag %q: %w", tag, ErrNotFound)
	}
	if err := c.moveTag(tag, ""); err != nil {
		return fmt.Errorf("take tag %s away: %w", tag, c.explain(err))
	}
	return nil
}

// History is the past of all tags that name an image or once did, the latest
// step first.
func (c *Catalog) History(digest string) []Step {
	c.mu.Lock()
	defer c.mu.Unlock()
	var steps []Step
	for tag, moves := range c.tags {
		if !slices.ContainsFunc(moves, func(m Move) bool { return m.Digest == digest }) {
			continue
		}
		for _, m := range moves {
			steps = append(steps, Step{tag, m})
		}
	}
	slices.SortFunc(steps, func(a, b Step) int {
		if order := b.At.Compare(a.At); order != 0 {
			return order
		}
		return strings.Compare(a.Tag, b.Tag)
	})
	return steps
}

// moveTag makes a move durable, then visible. One that changes nothing is none.
func (c *Catalog) moveTag(tag, digest string) error {
	if c.tags.names(tag) == digest {
		return nil
	}
	moved := c.tags.with(tag, Move{Digest: digest, At: c.now().UTC()})
	if err := c.writeJSON(moved, ".", tagFile); err != nil {
		return err
	}
	c.tags = moved
	return nil
}

// dropTags takes the tags of an image away.
func (c *Catalog) dropTags(digest string) error {
	moved, now := c.tags, c.now().UTC()
	for _, tag := range c.tags.of(digest) {
		moved = moved.with(tag, Move{At: now})
	}
	if err := c.writeJSON(moved, ".", tagFile); err != nil {
		return err
	}
	c.tags = moved
	return nil
}

// loadTags reads the tags. One that names an image without a record names
// nothing.
func (c *Catalog) loadTags() error {
	data, err := os.ReadFile(filepath.Join(c.dir, tagFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &c.tags); err != nil {
		return fmt.Errorf("%s is damaged; remove it and name the images again with muster image tag", tagFile)
	}
	for tag := range c.tags {
		digest := c.tags.names(tag)
		if _, there := c.images[digest]; digest != "" && !there {
			c.tags = c.tags.with(tag, Move{At: c.tags.moved(tag)})
		}
	}
	return nil
}

// checkTag keeps tags that fit into a command line and a URL, and that nobody
// takes for a digest. One colon may divide a tag, as in ubuntu:current.
func checkTag(tag string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+"
	what, version, divided := strings.Cut(tag, ":")
	if len(tag) > 128 || strings.Trim(what+version, letters) != "" || divided && (what == "" || version == "") {
		return fmt.Errorf("image name %q: use up to 128 letters, digits and ._-+, and one colon within", tag)
	}
	if what == "sha256" && divided || len(tag) >= 6 && strings.Trim(tag, "0123456789abcdef") == "" {
		return fmt.Errorf("image name %q looks like a digest; choose another", tag)
	}
	return nil
}
