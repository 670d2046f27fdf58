package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Catalog is what the people's API asks of the images. It fills all of an
// image but Orders. Errors are *provisioner.Fault: NotFound and Conflict for a
// ref that names no image or several, Invalid for content that cannot be kept,
// Operator where there is no space. All methods may be called concurrently.
type Catalog interface {
	List(ctx context.Context) ([]v1.Image, error)
	// Get finds an image by its name or the beginning of its digest.
	Get(ctx context.Context, ref string) (v1.Image, error)
	// Add stores content under name; size is -1 where it is not known. An image
	// that did not come whole leaves nothing behind.
	Add(ctx context.Context, name string, size int64, content io.Reader) (v1.Image, error)
	// AddSet stores several files as one image.
	AddSet(ctx context.Context, name string, version map[string]string, files []File) (v1.Image, error)
	// Remove forgets the image of exactly this digest.
	Remove(ctx context.Context, digest string) error
}

// File is one file of a set.
type File struct {
	Path    string
	Size    int64
	Content io.Reader
}

// Bounds of uploads, in bytes.
const (
	maxImage  = 128 << 30 // beyond any installer, below any disk
	maxSet    = 1 << 30   // a ramdisk is below 60 MB
	setMemory = 1 << 20   // the rest of a set is spooled to temporary files
)

// The files of a discovery ramdisk, as a set has them.
const (
	kernelFile = "kernel"
	initrdFile = "initrd"
)

func (p *people) imageRoutes() []route {
	const ref = "/v1/images/{ref}"
	nameParam := param{"name", "for people; what the image is called by muster is its digest"}
	return []route{
		{"GET", "/v1/images", Viewer, "imageList", "All images", nil, nil, []v1.Image{}, p.listImages},
		{"POST", "/v1/images", Operator, "imageAdd", "Store an image", []param{nameParam}, stream("application/octet-stream"), v1.Image{}, p.addImage},
		{"POST", "/v1/ramdisks", Operator, "ramdiskAdd", "Store a discovery ramdisk: files kernel and initrd, field version", []param{nameParam}, stream("multipart/form-data"), v1.Image{}, p.addRamdisk},
		{"GET", ref, Viewer, "imageShow", "One image, by name or the beginning of its digest", nil, nil, v1.Image{}, p.showImage},
		{"DELETE", ref, Operator, "imageRemove", "Remove an image that no order names", nil, nil, nil, p.removeImage},
	}
}

func (p *people) listImages(r *http.Request) Response {
	images, err := p.Images.List(r.Context())
	if err != nil {
		return fail(err)
	}
	shapes := []v1.Image{}
	for _, i := range images {
		shapes = append(shapes, p.imageShape(i))
	}
	return ok(shapes)
}

// imageShape completes an image of the catalog.
func (p *people) imageShape(i v1.Image) v1.Image {
	i.Orders, i.Why, i.Lacks = p.ordersOf(i.Digest), texts(i.Why), texts(i.Lacks)
	return i
}

func (p *people) showImage(r *http.Request) Response {
	i, err := p.Images.Get(r.Context(), r.PathValue("ref"))
	return p.stored(i, err)
}

func (p *people) stored(i v1.Image, err error) Response {
	if err != nil {
		return fail(err)
	}
	return ok(p.imageShape(i))
}

// addImage stores the body while it comes.
func (p *people) addImage(r *http.Request) Response {
	name, err := imageName(r)
	if err != nil {
		return fail(err)
	}
	body := http.MaxBytesReader(nil, r.Body, maxImage)
	i, err := p.Images.Add(r.Context(), name, r.ContentLength, body)
	return p.stored(i, err)
}

func imageName(r *http.Request) (string, error) {
	const maxName = 128 // bytes
	name := clean(r.URL.Query().Get("name"), maxName)
	if name == "" {
		return "", invalid("give the image a name: ?name=NAME")
	}
	return name, nil
}

func (p *people) addRamdisk(r *http.Request) Response {
	name, err := imageName(r)
	if err != nil {
		return fail(err)
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxSet)
	if err := r.ParseMultipartForm(setMemory); err != nil {
		return fail(invalid("the form did not come whole: %v", err))
	}
	i, err := p.addSet(r.Context(), name, r.MultipartForm)
	return p.stored(i, errors.Join(err, r.MultipartForm.RemoveAll()))
}

func (p *people) addSet(ctx context.Context, name string, form *multipart.Form) (v1.Image, error) {
	version := map[string]string{}
	if err := json.Unmarshal([]byte(strings.Join(form.Value["version"], "")), &version); err != nil {
		return v1.Image{}, invalid("the field version is no JSON object of texts: %v", err)
	}
	var files []File
	for _, part := range []string{kernelFile, initrdFile} {
		headers := form.File[part]
		if len(headers) != 1 {
			return v1.Image{}, invalid("a ramdisk has one file %s; %d came", part, len(headers))
		}
		content, err := headers[0].Open()
		if err != nil {
			return v1.Image{}, fmt.Errorf("open the uploaded %s: %w", part, err)
		}
		defer content.Close()
		files = append(files, File{Path: part, Size: headers[0].Size, Content: content})
	}
	return p.Images.AddSet(ctx, name, version, files)
}

func (p *people) removeImage(r *http.Request) Response {
	p.names.Lock() // an import that names the image comes before this, or after it
	defer p.names.Unlock()
	i, err := p.Images.Get(r.Context(), r.PathValue("ref"))
	if err != nil {
		return fail(err)
	}
	if orders := p.ordersOf(i.Digest); len(orders) > 0 {
		return fail(conflict("image %s is named by %s: import those orders with another image first", i.Name, strings.Join(orders, ", ")))
	}
	if err := p.Images.Remove(r.Context(), i.Digest); err != nil {
		return fail(err)
	}
	return done()
}

// ordersOf are the orders that name an image, in their own words or in a row's.
func (p *people) ordersOf(digest string) []string {
	orders := []string{}
	for _, o := range p.Mirror.Orders() {
		if o.Image == digest {
			orders = append(orders, string(o.Name))
		}
	}
	for _, h := range p.Mirror.Hosts() {
		if h.Intent.Image == digest && h.Intent.Order != "" && !slices.Contains(orders, string(h.Intent.Order)) {
			orders = append(orders, string(h.Intent.Order))
		}
	}
	slices.Sort(orders)
	return orders
}

// digestOf finds the image that an order names.
func (p *people) digestOf(ctx context.Context) func(ref string) (string, error) {
	return func(ref string) (string, error) {
		i, err := p.Images.Get(ctx, ref)
		if provisioner.KindOf(err) == provisioner.NotFound {
			return "", fmt.Errorf("there is no image %q: add it first with muster image add FILE", ref)
		}
		if err == nil && i.Family == "" {
			return "", fmt.Errorf("image %q is of no layout that muster can install from: %s", ref, strings.Join(i.Lacks, "; "))
		}
		return i.Digest, err
	}
}
