package api

import (
	"errors"
	"net/http"

	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/inventory/strictyaml"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (p *people) profileRoutes() []route {
	return []route{
		{"GET", "/v1/profiles", Viewer, "profileList", "The profiles that muster brings", nil, nil, []v1.Profile{}, p.listProfiles},
		{"GET", "/v1/profiles/{name}", Viewer, "profileShow", "One profile, in words", nil, nil, v1.Profile{}, p.showProfile},
		{"POST", "/v1/profiles/lint", Viewer, "profileLint", "Check a profile", nil, v1.Source{}, v1.Profile{}, p.lintProfile},
	}
}

// ProfileShape is a profile in words.
func ProfileShape(rules profile.Profile, builtin bool) v1.Profile {
	return v1.Profile{Name: rules.Name, Builtin: builtin, Rules: texts(rules.Sentences())}
}

func (p *people) listProfiles(*http.Request) Response {
	shapes := []v1.Profile{}
	for _, name := range profile.Builtins() {
		if rules, found := profile.Builtin(name); found {
			shapes = append(shapes, ProfileShape(rules, true))
		}
	}
	return ok(shapes)
}

func (p *people) showProfile(r *http.Request) Response {
	rules, found := profile.Builtin(r.PathValue("name"))
	if !found {
		return fail(missing("muster brings no profile %q; GET /v1/profiles lists those it does", r.PathValue("name")))
	}
	return ok(ProfileShape(rules, true))
}

func (p *people) lintProfile(r *http.Request) Response {
	var body v1.Source
	if err := decode(r, importBody, &body); err != nil {
		return fail(err)
	}
	rules, err := profile.Parse([]byte(body.Text))
	if err != nil {
		return fail(&inputError{what: "the profile cannot be used", remarks: []v1.Remark{remarkOf("profile", err)}})
	}
	return ok(ProfileShape(rules, false))
}

// remarkOf keeps the place of what is wrong in a YAML text.
func remarkOf(source string, err error) v1.Remark {
	var at *strictyaml.Error
	if errors.As(err, &at) {
		return v1.Remark{Source: source, Line: at.Line, Column: columnOf(at.Column), Text: at.Text}
	}
	return v1.Remark{Source: source, Text: err.Error()}
}
