package recipe

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is an example of the page, named for its family.
var block = regexp.MustCompile("(?s)```(?:yaml|text) ([a-z0-9-]+)\n(.*?)```")

func TestThePagesExamplesWork(t *testing.T) {
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	var formats []Format
	for _, m := range block.FindAllSubmatch(page, -1) {
		name, example := string(m[1]), string(m[2])
		if name == "recipe" {
			if _, err := load(t, map[string]string{"x.yaml": example}); err != nil {
				t.Errorf("the recipe: %v", err)
			}
			continue
		}
		r := named(t, name)
		formats = append(formats, r.Config.Format)
		v := values()
		v.Site.Values["ops_key"] = "ssh-ed25519 AAAA ops"
		if _, err := r.Render(v, Source{Template: example}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, f := range []Format{CloudConfig, NoCloud, Autoinstall, Preseed, Kickstart, Ignition, Talos} {
		if !slices.Contains(formats, f) {
			t.Errorf("the page has no example of %s", f)
		}
	}
}

func TestThePageNamesEveryFamilyAndFunction(t *testing.T) {
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Builtin().Recipes() {
		if !strings.Contains(string(page), "| "+r.Family+" ") || !strings.Contains(string(page), string(r.Config.Format)) {
			t.Errorf("the page does not name %s (%s)", r.Family, r.Config.Format)
		}
	}
	for _, function := range names() {
		if !regexp.MustCompile("[` ]" + function + "[` ]").Match(page) {
			t.Errorf("the page does not name %s", function)
		}
	}
	for _, word := range words {
		if !strings.Contains(string(page), "`{"+word+"}`") {
			t.Errorf("the page does not name {%s}", word)
		}
	}
}
