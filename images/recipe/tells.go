package recipe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tells are the variables by which the root file system of an image says what
// it is.
type Tells struct {
	Files    []string            `yaml:"files"`    // that assign them, as os-release(5) does; of two the first counts
	Versions map[string][]string `yaml:"versions"` // by what they are of: the variables, of which the first that is set counts
	Traits   map[string]string   `yaml:"traits"`   // the variable that is "true" in an image that has the trait, and set in one that has not
}

// Told is what is said of an image. The zero value says nothing.
type Told struct {
	Version map[string]string // by what it is of, such as kairos
	Traits  []string
}

// Read says what the variables of an image tell.
func (t Tells) Read(variables map[string]string) Told {
	told := Told{Version: map[string]string{}}
	for of, names := range t.Versions {
		if i := slices.IndexFunc(names, func(name string) bool { return variables[name] != "" }); i >= 0 {
			told.Version[of] = variables[names[i]]
		}
	}
	for _, trait := range slices.Sorted(maps.Keys(t.Traits)) {
		if variables[t.Traits[trait]] == "true" {
			told.Traits = append(told.Traits, trait)
		}
	}
	return told
}

// And is what t and then more say: of two versions t's counts.
func (t Told) And(more Told) Told {
	all := Told{Version: maps.Clone(more.Version), Traits: slices.Concat(t.Traits, more.Traits)}
	if all.Version == nil {
		all.Version = map[string]string{}
	}
	maps.Copy(all.Version, t.Version)
	slices.Sort(all.Traits)
	all.Traits = slices.Compact(all.Traits)
	return all
}

// Unsaid are sentences about what neither the variables of an image nor whoever
// added it say, and about what they say against each other.
func (t Tells) Unsaid(variables map[string]string, said Told) []string {
	told, all := t.Read(variables), said.And(t.Read(variables))
	var sentences []string
	for _, of := range slices.Sorted(maps.Keys(said.Version)) {
		if own := told.Version[of]; own != "" && bare(own) != bare(said.Version[of]) {
			sentences = append(sentences, fmt.Sprintf("its root file system says %s %s, who added it said %s, and that counts", of, own, said.Version[of]))
		}
	}
	if names := slices.Sorted(maps.Keys(t.Versions)); len(names) > 0 && !slices.ContainsFunc(names, func(of string) bool { return all.Version[of] != "" }) {
		sentences = append(sentences, fmt.Sprintf("its root file system does not say which %[1]s it is, so it counts as an old one; image add --version %[1]s=VERSION says it", names[0]))
	}
	for _, trait := range slices.Sorted(maps.Keys(t.Traits)) {
		if variables[t.Traits[trait]] == "" && !slices.Contains(all.Traits, trait) {
			sentences = append(sentences, fmt.Sprintf("its root file system does not say whether it is %[1]s; if it is, image add --trait %[1]s says so", trait))
		}
	}
	return sentences
}

// bare is a version without the letter that some put before it.
func bare(version string) string { return strings.TrimPrefix(version, "v") }

// checkTells refuses what could tell nothing.
func (r Recipe) checkTells() []error {
	var wrong []error
	if len(r.Tells.Files) > 0 && r.Rootfs == "" {
		wrong = append(wrong, fmt.Errorf("tells: there is no rootfs that has %s", r.Tells.Files[0]))
	}
	if len(r.Tells.Files) > 0 && r.Form != ISO {
		wrong = append(wrong, fmt.Errorf("tells: only the root file system in an iso is read, not that of a %s", r.Form))
	}
	if len(r.Tells.Files) == 0 && len(r.Tells.Versions)+len(r.Tells.Traits) > 0 {
		wrong = append(wrong, errors.New("tells: say in which files the variables are"))
	}
	for _, trait := range slices.Sorted(maps.Keys(r.Tells.Traits)) {
		if !slices.ContainsFunc(r.Traits, func(t Trait) bool { return t.Name == trait }) {
			wrong = append(wrong, fmt.Errorf("tells: the family has no trait %q", trait))
		}
	}
	return wrong
}
