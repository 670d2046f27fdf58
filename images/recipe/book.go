package recipe

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Book is a number of recipes. It is immutable and may be used concurrently;
// the zero value knows no family.
type Book struct{ recipes []Recipe }

// families holds one file for each family that muster brings.
//
//go:embed families/*.yaml
var families embed.FS

// Builtin returns the recipes that muster brings.
func Builtin() Book {
	b, err := read(families, "families")
	if err != nil {
		panic(err) // it is in the binary, and a test reads it
	}
	return b
}

// Load returns the recipes that muster brings and those of a site: every file
// in dir that ends in .yaml holds one; other files are passed over, but for those
// that somebody may take for recipes. The error names the file and the line.
// A site's recipe may not have the name of another.
func Load(dir string) (Book, error) {
	site, err := read(os.DirFS(dir), ".")
	if err != nil {
		return Book{}, fmt.Errorf("read recipes in %s: %w", dir, err)
	}
	b := Builtin()
	for _, r := range site.recipes {
		if _, taken := b.Find(r.Family); taken {
			return Book{}, fmt.Errorf("read recipes in %s: there is a family %s already; give this one another name", dir, r.Family)
		}
		b.recipes = append(b.recipes, r)
	}
	return b, nil
}

// maxRecipe is the size above which a file is no recipe.
const maxRecipe = 64 << 10

// read reads all recipes of a directory, in the order of their files' names.
func read(fsys fs.FS, dir string) (Book, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return Book{}, err
	}
	var b Book
	for _, e := range entries {
		switch ext := path.Ext(e.Name()); {
		case ext == ".yaml":
		case strings.EqualFold(ext, ".yml"), strings.EqualFold(ext, ".yaml"):
			return Book{}, fmt.Errorf("%s: a recipe's file ends in .yaml: rename it, or move it away", e.Name())
		default:
			continue
		}
		data, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return Book{}, err
		}
		r, err := parseRecipe(data)
		if err != nil {
			return Book{}, fmt.Errorf("%s: %w", e.Name(), err)
		}
		if _, taken := b.Find(r.Family); taken {
			return Book{}, fmt.Errorf("%s: another file has the family %s", e.Name(), r.Family)
		}
		b.recipes = append(b.recipes, r)
	}
	return b, nil
}

// parseRecipe reads one recipe strictly.
func parseRecipe(data []byte) (Recipe, error) {
	if len(data) > maxRecipe {
		return Recipe{}, fmt.Errorf("it has %d bytes, a recipe has at most %d", len(data), maxRecipe)
	}
	var r Recipe
	if err := yaml.UnmarshalWithOptions(data, &r, yaml.Strict()); err != nil {
		return Recipe{}, err
	}
	if r.Carried == nil {
		r.Carried = r.usual()
	}
	return r, r.check()
}

// check says everything that is wrong with a recipe.
func (r Recipe) check() error {
	var wrong []error
	if err := checkLetters(r.Family, "abcdefghijklmnopqrstuvwxyz0123456789-"); err != nil {
		wrong = append(wrong, fmt.Errorf("family: %w", err))
	}
	if r.About == "" || r.Ends == "" {
		wrong = append(wrong, errors.New("say what it is (about) and how an installation ends (ends)"))
	}
	wrong = append(wrong, r.checkWords()...)
	wrong = append(wrong, r.checkTells()...)
	if len(r.Needs) == 0 && r.Label == "" && r.Form != Disk {
		wrong = append(wrong, errors.New("needs: without a path or a label every image would be of the family"))
	}
	wrong = append(wrong, r.checkPaths()...)
	for _, arg := range slices.Concat(r.Cmdline, r.Media.Cmdline) {
		wrong = append(wrong, checkTemplate(arg))
	}
	for name, template := range map[string]string{"template": r.Template, "config: install": r.Config.Install} {
		_, err := (&run{language: verbatim}).compile(name, template)
		wrong = append(wrong, err)
	}
	if r.Template != "" && r.Config.Format == None {
		wrong = append(wrong, errors.New("template: with the format none nobody reads it"))
	}
	return errors.Join(wrong...)
}

// checkPaths refuses what is no path in an image.
func (r Recipe) checkPaths() []error {
	var wrong []error
	for _, of := range []struct {
		key   string
		paths []string
	}{
		{"needs, without or leaves_behind", r.Paths()}, {"kernel", given(r.Kernel)}, {"initrds", r.Initrds}, {"rootfs", given(r.Rootfs)},
		{"media: menus", r.Media.Menus}, {"media: file", given(r.Media.File)}, {"tells: files", r.Tells.Files},
	} {
		for _, p := range of.paths {
			if p == "/" || path.Clean("/"+p) != p || strings.ContainsAny(p, " \n") {
				wrong = append(wrong, fmt.Errorf("%s: %q is not a clean absolute path; write it like /boot/kernel", of.key, p))
			}
		}
	}
	return wrong
}

// checkWords refuses words that are none of those that there are.
func (r Recipe) checkWords() []error {
	var wrong []error
	if !slices.Contains([]Form{ISO, Set, Disk}, r.Form) {
		wrong = append(wrong, fmt.Errorf("form: %q is not one of iso, set, disk", r.Form))
	}
	if !slices.Contains([]Format{None, CloudConfig, NoCloud, Autoinstall, Preseed, Kickstart, Ignition, Talos}, r.Config.Format) {
		wrong = append(wrong, fmt.Errorf("config: format: %q is not one of none, cloud-config, nocloud, autoinstall, preseed, kickstart, ignition, talos", r.Config.Format))
	}
	if !slices.Contains([]KernelWords{"", Dracut, Klibc, TalosAddress}, r.Static.Kernel) {
		wrong = append(wrong, fmt.Errorf("static: kernel: %q is not one of dracut, klibc, talos", r.Static.Kernel))
	}
	if !slices.Contains([]NetworkSystem{"", Networkd, NetworkManager}, r.Static.System) {
		wrong = append(wrong, fmt.Errorf("static: system: %q is not one of networkd, network-manager", r.Static.System))
	}
	return append(wrong, r.checkWays()...)
}

func given(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

// Recipes returns all recipes.
func (b Book) Recipes() []Recipe { return slices.Clone(b.recipes) }

// Find returns the recipe of a family.
func (b Book) Find(family string) (Recipe, bool) {
	i := slices.IndexFunc(b.recipes, func(r Recipe) bool { return r.Family == family })
	if i < 0 {
		return Recipe{}, false
	}
	return b.recipes[i], true
}

// Recognise finds the family that an image belongs to; of several, the one
// that asks for most. why says what it was told by. lacks says what is missing:
// for an image of no known family, from the one it resembles most (the recipe
// is then its zero value); else what the image does not give.
func (b Book) Recognise(l Listing) (r Recipe, why, lacks []string) {
	var nearest []string
	for _, candidate := range b.recipes {
		if candidate.Form != l.Form() {
			continue
		}
		differs := candidate.differs(l)
		switch {
		case len(differs) == 0 && (r.Family == "" || candidate.demands() > r.demands()):
			r = candidate
		case nearest == nil || len(differs) < len(nearest):
			nearest = differs
		}
	}
	if r.Family != "" {
		return r, r.why(l), r.lacks(l)
	}
	if nearest == nil {
		return Recipe{}, nil, []string{fmt.Sprintf("no family of images has the form %q", cmp.Or(l.Form(), "unknown"))}
	}
	return Recipe{}, nil, nearest
}

// demands counts what an image must be like.
func (r Recipe) demands() int {
	n := len(r.Needs) + len(r.Without)
	if r.Label != "" {
		n++
	}
	return n
}
