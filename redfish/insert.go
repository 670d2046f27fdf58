package redfish

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-boot/muster/redfish/quirk"
)

// try is one way to insert a medium: which slot, which URL, what is sent beside
// it. A refusal leads to the next one.
type try struct {
	slot    int // in State.Slots
	url     int // in urls of that slot
	fields  []quirk.Field
	inSlot  int // tries in this slot
	overall int
	asked   map[quirk.Field]bool // fields that a refusal named already
}

// Bounds on how often a medium is tried.
const (
	triesInSlot  = 4
	triesOverall = 12
)

// schemes are what a slot takes, best first.
func schemes(s Slot, q quirk.Quirk) []string {
	if len(q.Media.Schemes) > 0 {
		return q.Media.Schemes
	}
	known := []string{"http", "https"}
	said := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !slices.Contains(s.schemes, k) })
	if len(said) > 0 {
		return said
	}
	return known
}

// urls are those of the wanted URLs that a slot takes: in the row's order of
// schemes if it has one, else as wanted.
func urls(w Want, s Slot, q quirk.Quirk) []string {
	list := slices.DeleteFunc(slices.Clone(w.URLs), func(u string) bool { return !slices.Contains(schemes(s, q), scheme(u)) })
	if len(q.Media.Schemes) > 0 {
		slices.SortStableFunc(list, func(a, b string) int {
			return slices.Index(q.Media.Schemes, scheme(a)) - slices.Index(q.Media.Schemes, scheme(b))
		})
	}
	return list
}

func scheme(url string) string {
	s, _, _ := strings.Cut(url, "://")
	return strings.ToLower(s)
}

// tryIn is the first try in a slot. A POST carries Image and what a row or a
// refusal names; a PATCH needs Inserted to do anything.
func tryIn(slots []Slot, i int, q quirk.Quirk) try {
	t := try{slot: i, fields: slices.Clone(q.Media.Fields)}
	if i < len(slots) && way(slots[i], q) == quirk.Patch && !slices.Contains(t.fields, quirk.Inserted) {
		t.fields = append(t.fields, quirk.Inserted)
	}
	return t
}

// body is what is sent for an insert.
func (t try) body(s Slot, url string, way quirk.Insert) map[string]any {
	if way == quirk.VmmControl {
		return map[string]any{"Image": url, "VmmControlType": "Connect"}
	}
	if way == quirk.IsoConfig {
		host, path := hostPath(url)
		return map[string]any{"Host": host, "Path": path}
	}
	body := map[string]any{"Image": url}
	for _, f := range t.fields {
		switch f {
		case quirk.Inserted, quirk.WriteProtected:
			body[string(f)] = true
		case quirk.TransferMethod:
			body[string(f)] = "Stream"
		case quirk.TransferProtocol:
			body[string(f)] = strings.ToUpper(scheme(url))
		case quirk.UserName, quirk.Password:
			body[string(f)] = "none" // muster's media need none; some BMCs refuse an empty one
		}
	}
	return body
}

// hostPath cuts a URL before its path.
func hostPath(url string) (host, path string) {
	begin, rest, _ := strings.Cut(url, "://")
	name, path, _ := strings.Cut(rest, "/")
	return begin + "://" + name, "/" + path
}

// way is how a slot takes a medium, "" if it does not.
func way(s Slot, q quirk.Quirk) quirk.Insert {
	switch {
	case strings.HasSuffix(s.insert, "VmmControl"):
		return quirk.VmmControl
	case strings.HasSuffix(s.insert, "IsoConfig.Mount"):
		return quirk.IsoConfig
	case q.Media.Insert == quirk.Patch:
		return quirk.Patch
	case s.insert != "":
		return quirk.Action
	case s.patchable:
		return quirk.Patch
	}
	return ""
}

// after is the next try after a refusal, or why there is none. Status 0 is an
// insert that did not show in time.
func (t try) after(r reply, s State, w Want, q quirk.Quirk) (try, *Fault) {
	t.inSlot++
	t.overall++
	refused := r.fault("insert the medium", q)
	if r.status == 0 {
		refused = retry(Slow, fmt.Sprintf("the BMC took the medium for slot %s and does not show it", s.Slots[t.slot].ID), nil)
	}
	switch refused.Cause {
	case Licence, MediaOff, NewPassword, Rights, WrongPassword:
		return t, refused
	case Scheme:
		if named(r) != "" {
			break
		}
		if t.url+1 < len(urls(w, s.Slots[t.slot], q)) {
			t.url++
			return t, nil
		}
		return t, operator(Scheme, fmt.Sprintf("the BMC does not take media from %s: %s; set up the boot plane's https, or boot this host by PXE", strings.Join(taken(w), " or "), r.words()))
	case Unreachable, Busy, Slow, Sessions, Certificate, NoMedia, ForeignMedium, POST, SeveralSystems, Refused, BadTarget:
	}
	if t.overall >= triesOverall {
		return t, refused
	}
	if t.inSlot < triesInSlot {
		if f := named(r); f != "" && !t.asked[f] {
			return t.with(f), nil
		}
		if r.status == http.StatusConflict || r.status >= http.StatusInternalServerError || refused.Kind == Retry || r.says("MaxVirtualMediaConnectionEstablished") {
			return t, nil // the same again: Dell answers so for a while after an eject
		}
	}
	if t.slot+1 < len(usable(s.Slots)) {
		next := tryIn(s.Slots, t.slot+1, q)
		next.overall = t.overall
		return next, nil
	}
	return t, refused
}

// with adds a field that was missing, or drops one that was sent.
func (t try) with(f quirk.Field) try {
	t.asked = maps.Clone(t.asked)
	if t.asked == nil {
		t.asked = map[quirk.Field]bool{}
	}
	t.asked[f] = true
	if i := slices.Index(t.fields, f); i >= 0 {
		t.fields = slices.Delete(slices.Clone(t.fields), i, i+1)
		return t
	}
	t.fields = append(slices.Clone(t.fields), f)
	return t
}

// named is the field that a refusal is about, "" if it names none.
func named(r reply) quirk.Field {
	for _, m := range r.messages {
		about := slices.Concat(m.args, m.about)
		for _, f := range []quirk.Field{quirk.Inserted, quirk.WriteProtected, quirk.TransferMethod, quirk.TransferProtocol, quirk.UserName, quirk.Password} {
			if slices.ContainsFunc(about, func(a string) bool { return strings.EqualFold(strings.Trim(a, "#/"), string(f)) }) || strings.Contains(m.text, string(f)) {
				return f
			}
		}
	}
	return ""
}

// taken are the schemes of the wanted URLs.
func taken(w Want) []string {
	var list []string
	for _, u := range w.URLs {
		if s := scheme(u); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
