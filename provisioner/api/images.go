package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
// Operator where there is no space. Where inUse is asked, it gives the reason
// why an image must stay, or nil, and must not call the catalog. progress is
// called from the call that it is given to. All methods may be called
// concurrently.
type Catalog interface {
	List(ctx context.Context) ([]v1.Image, error)
	// Get finds an image by a tag or the beginning of its digest.
	Get(ctx context.Context, ref string) (v1.Image, error)
	// Add stores content; size is -1 where it is not known. An image that did
	// not come whole, or is not the one promised, leaves nothing behind.
	Add(ctx context.Context, in v1.NewImage, size int64, content io.Reader) (v1.Image, error)
	// Fetch stores what is at in.URL; a later call goes on where one stopped.
	Fetch(ctx context.Context, in v1.NewImage, progress func(done, total int64)) (v1.Image, error)
	// AddSet stores several files as one image.
	AddSet(ctx context.Context, name string, version map[string]string, files []File) (v1.Image, error)
	// Tag lets a tag name an image from now on.
	Tag(ctx context.Context, ref, tag string) (v1.Image, error)
	// Untag lets a tag name nothing.
	Untag(ctx context.Context, tag string) error
	// Remove forgets an image; one that has tags besides ref only by force.
	Remove(ctx context.Context, ref string, forceUntag bool, inUse func(digest string) error) error
	// Collect forgets what neither a tag names nor inUse objects to.
	Collect(ctx context.Context, dryRun bool, inUse func(digest string) error) (v1.Garbage, error)
	// Scrub reads everything again and returns the images that are damaged.
	Scrub(ctx context.Context, progress func(done, total int64)) ([]v1.Image, error)
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

// The files of a discovery ramdisk: two as a set has them, or an ISO that holds
// both.
const (
	kernelFile = "kernel"
	initrdFile = "initrd"
	isoFile    = "iso"
)

// Query parameters of an upload.
var (
	nameParam  = param{"name", "a tag for people, as in ubuntu or ubuntu:current; it moves here from the image that has it"}
	proofParam = []param{
		nameParam,
		{"sha256", "that the content must have"},
		{"sums", "lines of sha256sum, one of which is for file"},
		{"sums_url", "where the server fetches such lines"},
		{"file", "the content's name in sums"},
		{"minisign_key", "public key that must have made the signature"},
		{"signature", "over the content, made with minisign"},
		{"trait", "of its family, such as content, beside what it says itself; may come again"},
		{"version", "what it is of and the version, as in agent=4.9.7; it counts before what the image says itself; may come again"},
	}
)

func (p *people) imageRoutes() []route {
	const ref = "/v1/images/{ref}"
	forceParam := param{"force_untag", "true: also where other tags name it"}
	dryParam := param{"dry_run", "true: only say what would go"}
	return []route{
		{"GET", "/v1/images", Viewer, "imageList", "All images", nil, nil, []v1.Image{}, p.listImages},
		{"POST", "/v1/images", Operator, "imageAdd", "Store an image", proofParam, stream("application/octet-stream"), v1.Image{}, p.addImage},
		{"POST", "/v1/fetches", Operator, "imageFetch", "Store an image that the server fetches from a URL; the answer is a line for each step (Work)", nil, v1.NewImage{}, stream(v1.WorkType), p.fetchImage},
		{"POST", "/v1/ramdisks", Operator, "ramdiskAdd", "Store a discovery ramdisk: files kernel and initrd, or one file iso, and a field version", []param{nameParam}, stream("multipart/form-data"), v1.Image{}, p.addRamdisk},
		{"POST", "/v1/sets", Operator, "setAdd", "Store the files of a netboot set, each as a form file of its name", []param{nameParam}, stream("multipart/form-data"), v1.Image{}, p.addNetbootSet},
		{"GET", ref, Viewer, "imageShow", "One image, by a tag or the beginning of its digest", nil, nil, v1.Image{}, p.showImage},
		{"DELETE", ref, Operator, "imageRemove", "Remove an image that no order names", []param{forceParam}, nil, nil, p.removeImage},
		{"PUT", "/v1/tags/{tag}", Operator, "tagMove", "Let a tag name an image", nil, v1.NewTag{}, v1.Image{}, p.moveTag},
		{"DELETE", "/v1/tags/{tag}", Operator, "tagRemove", "Let a tag name nothing", nil, nil, nil, p.removeTag},
		{"POST", "/v1/catalog/gc", Operator, "catalogCollect", "Remove the images that neither a tag nor an order names", []param{dryParam}, nil, v1.Garbage{}, p.collectImages},
		{"POST", "/v1/catalog/scrub", Operator, "catalogScrub", "Read all images again and name damage; the answer is a line for each step (Work)", nil, nil, stream(v1.WorkType), p.scrubImages},
	}
}

func (p *people) listImages(r *http.Request) Response {
	images, err := p.Images.List(r.Context())
	if err != nil {
		return fail(err)
	}
	return ok(p.imageShapes(images))
}

func (p *people) imageShapes(images []v1.Image) []v1.Image {
	shapes := []v1.Image{}
	for _, i := range images {
		i.Recipe, i.History = nil, nil
		shapes = append(shapes, p.imageShape(i))
	}
	return shapes
}

// imageShape completes an image of the catalog.
func (p *people) imageShape(i v1.Image) v1.Image {
	i.Orders, i.Tags, i.Why, i.Lacks = p.ordersOf(i.Digest), texts(i.Tags), texts(i.Why), texts(i.Lacks)
	i.Traits = texts(i.Traits)
	if i.Damage == nil {
		i.Damage = []v1.Damage{}
	}
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

// Versions reads those of an image, each written as kairos=4.0.3.
func Versions(texts []string) (map[string]string, error) {
	const most, longest = 16, 64
	if len(texts) > most {
		return nil, &inputError{what: fmt.Sprintf("version: at most %d are kept of an image", most)}
	}
	var versions map[string]string
	for _, text := range texts {
		of, version, found := strings.Cut(text, "=")
		if !found || of == "" || version == "" || len(text) > longest || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, &inputError{what: fmt.Sprintf("version: %q is not what a version is of and the version, as in kairos=4.0.3", text)}
		}
		if versions == nil {
			versions = map[string]string{}
		}
		versions[of] = version
	}
	return versions, nil
}

// addImage stores the body while it comes.
func (p *people) addImage(r *http.Request) Response {
	q := r.URL.Query()
	in := v1.NewImage{
		Name: q.Get("name"), SHA256: q.Get("sha256"), Sums: q.Get("sums"), SumsURL: q.Get("sums_url"), File: q.Get("file"),
		Key: q.Get("minisign_key"), Signature: q.Get("signature"), Traits: q["trait"],
	}
	name, err := imageName(in.Name)
	if err == nil {
		in.Version, err = Versions(q["version"])
	}
	if err != nil {
		return fail(err)
	}
	in.Name = name
	body := http.MaxBytesReader(nil, r.Body, maxImage)
	i, err := p.Images.Add(r.Context(), in, r.ContentLength, body)
	return p.stored(i, err)
}

func imageName(name string) (string, error) {
	const maxName = 128 // bytes
	name = clean(name, maxName)
	if name == "" {
		return "", invalid("give the image a name: ?name=NAME")
	}
	return name, nil
}

// fetchImage fetches while the reader listens. It ends when the reader goes; to
// ask again goes on where it stopped.
func (p *people) fetchImage(r *http.Request) Response {
	var in v1.NewImage
	if err := decode(r, maxText, &in); err != nil {
		return fail(err)
	}
	name, err := imageName(in.Name)
	if err != nil {
		return fail(err)
	}
	if in.URL == "" {
		return fail(invalid("say where the image is: url"))
	}
	in.Name = name
	return p.work(r, func(ctx context.Context, progress func(done, total int64)) (v1.Work, error) {
		i, err := p.Images.Fetch(ctx, in, progress)
		i = p.imageShape(i)
		return v1.Work{Image: &i}, err
	})
}

func (p *people) addRamdisk(r *http.Request) Response {
	return p.addForm(r, func(ctx context.Context, name string, form *multipart.Form) (v1.Image, error) {
		var version map[string]string
		if err := json.Unmarshal([]byte(strings.Join(form.Value["version"], "")), &version); err != nil {
			return v1.Image{}, invalid("the field version is no JSON object of texts: %v", err)
		}
		if len(form.File[isoFile]) == 0 {
			return p.addSet(ctx, name, version, []string{kernelFile, initrdFile}, form)
		}
		files, done, err := openFiles(form, []string{isoFile})
		if err != nil {
			return v1.Image{}, err
		}
		defer done()
		return p.Images.Add(ctx, v1.NewImage{Name: name, Version: version}, files[0].Size, files[0].Content)
	})
}

func (p *people) addNetbootSet(r *http.Request) Response {
	return p.addForm(r, func(ctx context.Context, name string, form *multipart.Form) (v1.Image, error) {
		return p.addSet(ctx, name, nil, slices.Sorted(maps.Keys(form.File)), form)
	})
}

// addForm has the files of a form stored.
func (p *people) addForm(r *http.Request, store func(ctx context.Context, name string, form *multipart.Form) (v1.Image, error)) Response {
	name, err := imageName(r.URL.Query().Get("name"))
	if err != nil {
		return fail(err)
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxSet)
	if err := r.ParseMultipartForm(setMemory); err != nil {
		return fail(invalid("the form did not come whole: %v", err))
	}
	i, err := store(r.Context(), name, r.MultipartForm)
	return p.stored(i, errors.Join(err, r.MultipartForm.RemoveAll()))
}

func (p *people) addSet(ctx context.Context, name string, version map[string]string, parts []string, form *multipart.Form) (v1.Image, error) {
	files, done, err := openFiles(form, parts)
	if err != nil {
		return v1.Image{}, err
	}
	defer done()
	return p.Images.AddSet(ctx, name, version, files)
}

// openFiles opens files of a form, each of which came once, until done is called.
func openFiles(form *multipart.Form, parts []string) (files []File, done func(), err error) {
	var opened []multipart.File
	done = func() {
		for _, f := range opened {
			_ = f.Close()
		}
	}
	for _, part := range parts {
		headers := form.File[part]
		if len(headers) != 1 {
			done()
			return nil, nil, invalid("an image has one file %s; %d came", part, len(headers))
		}
		content, err := headers[0].Open()
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("open the uploaded %s: %w", part, err)
		}
		opened = append(opened, content)
		files = append(files, File{Path: part, Size: headers[0].Size, Content: content})
	}
	return files, done, nil
}

func (p *people) moveTag(r *http.Request) Response {
	var in v1.NewTag
	if err := decode(r, smallBody, &in); err != nil {
		return fail(err)
	}
	p.names.Lock() // an import that names the tag comes before this, or after it
	defer p.names.Unlock()
	i, err := p.Images.Tag(r.Context(), in.Image, r.PathValue("tag"))
	return p.stored(i, err)
}

func (p *people) removeTag(r *http.Request) Response {
	if err := p.Images.Untag(r.Context(), r.PathValue("tag")); err != nil {
		return fail(err)
	}
	return done()
}

func (p *people) removeImage(r *http.Request) Response {
	p.names.Lock() // an import that names the image comes before this, or after it
	defer p.names.Unlock()
	force := r.URL.Query().Get("force_untag") == "true"
	if err := p.Images.Remove(r.Context(), r.PathValue("ref"), force, p.inUse); err != nil {
		return fail(err)
	}
	return done()
}

func (p *people) collectImages(r *http.Request) Response {
	p.names.Lock() // as in removeImage
	defer p.names.Unlock()
	g, err := p.Images.Collect(r.Context(), r.URL.Query().Get("dry_run") == "true", p.inUse)
	if err != nil {
		return fail(err)
	}
	g.Images = p.imageShapes(g.Images)
	return ok(g)
}

func (p *people) scrubImages(r *http.Request) Response {
	return p.work(r, func(ctx context.Context, progress func(done, total int64)) (v1.Work, error) {
		damaged, err := p.Images.Scrub(ctx, progress)
		return v1.Work{Damaged: p.imageShapes(damaged)}, err
	})
}

// inUse names the orders for which an image must stay, or the hosts that read it
// now.
func (p *people) inUse(digest string) error {
	if orders := p.ordersOf(digest); len(orders) > 0 {
		return conflict("it is named by %s: import those orders with another image first", strings.Join(orders, ", "))
	}
	for _, h := range p.Mirror.Hosts() {
		if boots := h.Facts.Prepared; boots != nil && boots.Image == digest && boots.Attempt == h.Status.Attempt.ID && h.Status.Phase == h.Status.Attempt.Phase {
			return conflict("host %s boots from it in attempt %s: wait until that is over, or hold the host first", h.ID, boots.Attempt)
		}
	}
	return nil
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

// digestOf finds the image that an order names, and refuses one that no host
// could be installed from.
func (p *people) digestOf(ctx context.Context) func(ref string) (string, error) {
	return func(ref string) (string, error) {
		i, err := p.Images.Get(ctx, ref)
		if provisioner.KindOf(err) == provisioner.NotFound {
			return "", fmt.Errorf("there is no image %q: add it first with muster image add FILE", ref)
		}
		if err == nil && len(i.Damage) > 0 {
			return "", fmt.Errorf("image %q is damaged: add it again first (muster image show %s says what was found)", ref, ref)
		}
		if err == nil && i.Family == "" {
			return "", fmt.Errorf("image %q cannot be installed: it is of no known family (muster image show %s says why)", ref, ref)
		}
		if err == nil && i.Recipe != nil && i.Recipe.Refuses != "" {
			return "", fmt.Errorf("image %q cannot be installed: %s", ref, i.Recipe.Refuses)
		}
		return i.Digest, err
	}
}
