package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Images lists all images.
func (c *Client) Images(ctx context.Context) ([]v1.Image, error) {
	var images []v1.Image
	err := c.caller.get(ctx, "/v1/images", &images)
	return images, err
}

// Image returns one image, by name or the beginning of its digest.
func (c *Client) Image(ctx context.Context, ref string) (v1.Image, error) {
	var i v1.Image
	err := c.caller.get(ctx, imagePath(ref), &i)
	return i, err
}

// AddImage stores content; size is -1 where it is not known. in.URL does
// not count.
func (c *Client) AddImage(ctx context.Context, in v1.NewImage, size int64, content io.Reader) (v1.Image, error) {
	query := url.Values{"name": {in.Name}, "trait": in.Traits}
	for _, of := range slices.Sorted(maps.Keys(in.Version)) {
		query.Add("version", of+"="+in.Version[of])
	}
	for key, value := range map[string]string{
		"sha256": in.SHA256, "sums": in.Sums, "sums_url": in.SumsURL, "file": in.File, "minisign_key": in.Key, "signature": in.Signature,
	} {
		if value != "" {
			query.Set(key, value)
		}
	}
	return c.upload(ctx, "/v1/images?"+query.Encode(), "application/octet-stream", size, content)
}

// FetchImage lets the server fetch and store what is at in.URL, and calls
// progress meanwhile. The fetch ends with ctx; a later call goes on where it
// stopped, also after an [Unreachable].
func (c *Client) FetchImage(ctx context.Context, in v1.NewImage, progress func(v1.Work)) (v1.Image, error) {
	end, err := c.caller.work(ctx, "/v1/fetches", in, progress)
	if err != nil {
		return v1.Image{}, err
	}
	if end.Image == nil {
		return v1.Image{}, errors.New("the server names no image")
	}
	return *end.Image, nil
}

// RemoveImage removes an image that no order names; one that has tags besides
// ref only by force.
func (c *Client) RemoveImage(ctx context.Context, ref string, forceUntag bool) error {
	path := imagePath(ref)
	if forceUntag {
		path += "?force_untag=true"
	}
	return c.caller.do(ctx, http.MethodDelete, path, nil, nil)
}

// Tag lets a tag name an image from now on.
func (c *Client) Tag(ctx context.Context, ref, tag string) (v1.Image, error) {
	var i v1.Image
	err := c.caller.do(ctx, http.MethodPut, tagPath(tag), v1.NewTag{Image: ref}, &i)
	return i, err
}

// Untag lets a tag name nothing.
func (c *Client) Untag(ctx context.Context, tag string) error {
	return c.caller.do(ctx, http.MethodDelete, tagPath(tag), nil, nil)
}

// CollectImages removes what neither a tag nor an order names; with dryRun it
// only says what.
func (c *Client) CollectImages(ctx context.Context, dryRun bool) (v1.Garbage, error) {
	path := "/v1/catalog/gc"
	if dryRun {
		path += "?dry_run=true"
	}
	var g v1.Garbage
	err := c.caller.post(ctx, path, nil, &g)
	return g, err
}

// ScrubImages lets the server read all images again, and returns those that are
// damaged; never nil.
func (c *Client) ScrubImages(ctx context.Context, progress func(v1.Work)) ([]v1.Image, error) {
	end, err := c.caller.work(ctx, "/v1/catalog/scrub", nil, progress)
	if end.Damaged == nil {
		end.Damaged = []v1.Image{}
	}
	return end.Damaged, err
}

// Ramdisk is a discovery ramdisk to be stored: kernel and initrd, or an ISO with
// both.
type Ramdisk struct {
	Name                   string
	Version                map[string]string // shown with the image
	Kernel, Initrd         io.Reader
	KernelSize, InitrdSize int64
	ISO                    io.Reader // nil: the two files
	ISOSize                int64
}

// AddRamdisk stores a discovery ramdisk; hosts boot it from then on.
func (c *Client) AddRamdisk(ctx context.Context, r Ramdisk) (v1.Image, error) {
	version, err := json.Marshal(r.Version)
	if err != nil {
		return v1.Image{}, fmt.Errorf("encode version: %w", err)
	}
	f := newForm()
	f.field("version", version)
	if r.ISO != nil {
		f.file("iso", r.ISO, r.ISOSize)
	} else {
		f.file("kernel", r.Kernel, r.KernelSize)
		f.file("initrd", r.Initrd, r.InitrdSize)
	}
	f.end()
	path := "/v1/ramdisks?" + url.Values{"name": {r.Name}}.Encode()
	return c.upload(ctx, path, f.mime.FormDataContentType(), f.size, io.MultiReader(f.parts...))
}

// Part is one file of a netboot set to be stored.
type Part struct {
	Name    string // by which recipes know it, e.g. "initrd.gz"
	Size    int64
	Content io.Reader
}

// AddSet stores a netboot set.
func (c *Client) AddSet(ctx context.Context, name string, parts []Part) (v1.Image, error) {
	f := newForm()
	for _, p := range parts {
		f.file(p.Name, p.Content, p.Size)
	}
	f.end()
	path := "/v1/sets?" + url.Values{"name": {name}}.Encode()
	return c.upload(ctx, path, f.mime.FormDataContentType(), f.size, io.MultiReader(f.parts...))
}

func (c *Client) upload(ctx context.Context, path, media string, size int64, content io.Reader) (v1.Image, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.caller.base+path, content)
	if err != nil {
		return v1.Image{}, fmt.Errorf("make request: %w", err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", media)
	req.Header.Set("Expect", "100-continue") // a refusal comes before the content goes
	var i v1.Image
	err = c.caller.send(req, &i)
	return i, err
}

// form is a multipart form that is read while it is sent and knows its length.
type form struct {
	mime    *multipart.Writer
	heading *bytes.Buffer
	parts   []io.Reader
	size    int64
}

func newForm() *form {
	heading := &bytes.Buffer{}
	return &form{mime: multipart.NewWriter(heading), heading: heading}
}

// flush moves what the multipart writer wrote among the parts.
func (f *form) flush() {
	text := bytes.Clone(f.heading.Bytes())
	f.heading.Reset()
	f.add(bytes.NewReader(text), int64(len(text)))
}

func (f *form) add(part io.Reader, size int64) {
	f.parts = append(f.parts, part)
	f.size += size
}

// The writer writes to memory and is closed last, so it returns no errors here.

func (f *form) field(name string, value []byte) {
	_ = f.mime.WriteField(name, string(value))
	f.flush()
}

func (f *form) file(name string, content io.Reader, size int64) {
	header := textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, name, name)},
		"Content-Type":        {"application/octet-stream"},
	}
	_, _ = f.mime.CreatePart(header)
	f.flush()
	f.add(content, size)
}

func (f *form) end() {
	_ = f.mime.Close()
	f.flush()
}

func tagPath(tag string) string { return "/v1/tags/" + url.PathEscape(tag) }

func imagePath(ref string) string { return "/v1/images/" + url.PathEscape(ref) }
