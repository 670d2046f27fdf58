package images

import (
	"fmt"
	"os"

	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/images/rootfs"
)

// Told is what is said of an image: by whoever added it, then by itself.
func (i Image) Told() recipe.Told { return i.said().And(i.Own) }

func (i Image) said() recipe.Told { return recipe.Told{Version: i.Meta, Traits: i.Traits} }

// tells adds what an ISO says of itself. One whose root file system cannot be
// read may install all the same, so it lacks that and is kept.
func (c *Catalog) tells(f *os.File, i Image) Image {
	r, _ := c.Recipe(i)
	if len(r.Tells.Files) == 0 {
		return i
	}
	variables, err := variablesOf(f, r)
	if err != nil {
		i.Lacks = append(i.Lacks, fmt.Sprintf("%s does not say what it is: %v", r.Rootfs, err))
	}
	i.Own = r.Tells.Read(variables)
	i.Lacks = append(i.Lacks, r.Tells.Unsaid(variables, i.said())...)
	return i
}

func variablesOf(f *os.File, r recipe.Recipe) (map[string]string, error) {
	v, err := openVolume(f)
	if err != nil {
		return nil, err
	}
	found, err := v.Lookup(r.Rootfs)
	if err != nil {
		return nil, err
	}
	return rootfs.Assignments(found.Content(f), found.Size, r.Tells.Files...)
}
