package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"

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

// AddImage stores content under name; size is -1 where it is not known.
func (c *Client) AddImage(ctx context.Context, name string, size int64, content io.Reader) (v1.Image, error) {
	path := "/v1/images?" + url.Values{"name": {name}}.Encode()
	return c.upload(ctx, path, "application/octet-stream", size, content)
}

// RemoveImage removes an image that no order names.
func (c *Client) RemoveImage(ctx context.Context, ref string) error {
	return c.caller.do(ctx, http.MethodDelete, imagePath(ref), nil, nil)
}

// Ramdisk is a discovery ramdisk to be stored.
type Ramdisk struct {
	Name                   string
	Version                map[string]string // shown with the image
	Kernel, Initrd         io.Reader
	KernelSize, InitrdSize int64
}

// AddRamdisk stores a discovery ramdisk; hosts boot it from then on.
func (c *Client) AddRamdisk(ctx context.Context, r Ramdisk) (v1.Image, error) {
	version, err := json.Marshal(r.Version)
	if err != nil {
		return v1.Image{}, fmt.Errorf("encode version: %w", err)
	}
	f := newForm()
	f.field("version", version)
	f.file("kernel", r.Kernel, r.KernelSize)
	f.file("initrd", r.Initrd, r.InitrdSize)
	f.end()
	path := "/v1/ramdisks?" + url.Values{"name": {r.Name}}.Encode()
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

func imagePath(ref string) string { return "/v1/images/" + url.PathEscape(ref) }
