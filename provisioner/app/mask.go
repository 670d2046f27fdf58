package app

import "github.com/muster-boot/muster/images/recipe"

func mask(r recipe.Rendered, secrets []string) recipe.Rendered {
	for _, list := range [][]recipe.Document{r.Documents, r.Seed} {
		for i := range list {
			list[i].Content = []byte(hide(string(list[i].Content), secrets))
		}
	}
	for i := range r.Medium {
		r.Medium[i].Content = []byte(hide(string(r.Medium[i].Content), secrets))
	}
	return r
}
