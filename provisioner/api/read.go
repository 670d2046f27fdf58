package api

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-boot/muster/inventory/manifest"
	"github.com/muster-boot/muster/inventory/profile"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Draft is an order with its manifest as a person wrote them, understood but
// not yet compared with what muster holds.
type Draft struct {
	Order    manifest.Order
	Rows     []manifest.Row
	Profiles map[string]profile.Profile // that came along, by name
	Warnings []v1.Remark
}

// ReadDraft reads all parts of an import and returns everything that is wrong
// in any of them. It needs no server and touches nothing.
func ReadDraft(in v1.Import) (Draft, []v1.Remark) {
	d := Draft{Profiles: map[string]profile.Profile{}}
	wrong := d.readProfiles(in.Profiles)
	order, err := manifest.ParseOrder([]byte(in.Order))
	if err != nil {
		wrong = append(wrong, remarkOf("order", err))
	}
	defaults := order.Defaults()
	defaults.Unread = err != nil
	d.Order = order
	for _, file := range []struct {
		key, name, content string
		give               func(string) error
	}{
		{"bmc.password_file", order.BMC.PasswordFile, in.BMCPassword, defaults.BMC.Give},
		{"bmc.new_password_file", order.BMC.NewPasswordFile, in.BMCNewPassword, defaults.BMC.GiveNew},
	} {
		if file.name == "" {
			continue
		}
		if err := file.give(file.content); err != nil {
			wrong = append(wrong, v1.Remark{Source: "order", Line: order.Lines["bmc"], Text: file.key + ": " + err.Error()})
		}
	}
	rows, warnings, err := manifest.ReadCSV(strings.NewReader(in.Manifest), defaults)
	d.Rows, d.Warnings = rows, remarks(warnings)
	var problems manifest.Problems
	switch {
	case errors.As(err, &problems):
		wrong = append(wrong, remarks(problems)...)
	case err != nil:
		wrong = append(wrong, v1.Remark{Source: "manifest", Text: err.Error()})
	}
	if len(wrong) > 0 {
		return Draft{Warnings: d.Warnings}, wrong
	}
	return d, d.profileRemarks()
}

// PasswordFiles are the files in which an order has the password of its BMCs and
// their new one; empty where it names none. Whoever sends the order sends their
// content along.
func PasswordFiles(order string) (password, fresh string) {
	o, _ := manifest.ParseOrder([]byte(order)) // what is wrong with it, reading the draft says
	return o.BMC.PasswordFile, o.BMC.NewPasswordFile
}

func (d *Draft) readProfiles(texts []string) []v1.Remark {
	var wrong []v1.Remark
	for _, text := range texts {
		rules, err := profile.Parse([]byte(text))
		switch {
		case err != nil:
			wrong = append(wrong, remarkOf("profile", err))
		case slices.Contains(profile.Builtins(), rules.Name):
			wrong = append(wrong, v1.Remark{Source: "profile", Text: "muster brings a profile " + rules.Name + " itself: give this one another name"})
		default:
			d.Profiles[rules.Name] = rules
		}
	}
	return wrong
}

// rules finds a profile among those that came along and those that muster brings.
func (d *Draft) rules(name string) (profile.Profile, bool) {
	if rules, came := d.Profiles[name]; came {
		return rules, true
	}
	return profile.Builtin(name)
}

// profileRemarks names each place where a profile is named that nobody has.
func (d *Draft) profileRemarks() []v1.Remark {
	var wrong []v1.Remark
	const advice = " is not among those that muster brings and was not given along"
	if _, found := d.rules(d.Order.Profile); !found {
		wrong = append(wrong, v1.Remark{Source: "order", Text: "profile " + strconv.Quote(d.Order.Profile) + advice})
	}
	for _, row := range d.Rows {
		if name := row.Overrides.Profile; name != "" {
			if _, found := d.rules(name); !found {
				wrong = append(wrong, v1.Remark{Source: "manifest", Line: row.Line, Column: "profile", Text: "profile " + strconv.Quote(name) + advice})
			}
		}
	}
	return wrong
}

func remarks(problems []manifest.Problem) []v1.Remark {
	list := make([]v1.Remark, 0, len(problems))
	for _, p := range problems {
		list = append(list, v1.Remark{Source: "manifest", Line: p.Line, Column: p.Column, Text: p.Text})
	}
	return list
}

// columnOf is a column's number as a remark has it; 0 is not known.
func columnOf(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
