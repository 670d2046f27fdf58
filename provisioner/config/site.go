package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Bounds of what templates may say of a site.
const (
	siteNameLimit  = 64 // bytes
	siteValues     = 256
	siteValueLimit = 4096 // bytes
)

func (c *checker) site(raw site) Site {
	if len(raw.Name) > siteNameLimit || !plain(raw.Name) {
		c.say("site.name", "%q is no name for a site: use up to %d bytes on one line", raw.Name, siteNameLimit)
	}
	if !zone(raw.TimeZone) {
		c.say("site.time_zone", "%q is no time zone: write it like UTC or Europe/Oslo", raw.TimeZone)
	}
	if len(raw.Values) > siteValues {
		c.say("site.values", "%d values are too many: give at most %d", len(raw.Values), siteValues)
	}
	values := make(map[string]string, len(raw.Values))
	for _, key := range slices.Sorted(maps.Keys(raw.Values)) {
		values[key] = string(raw.Values[key])
		c.siteValue(key, values[key])
	}
	return Site{Name: raw.Name, TimeZone: raw.TimeZone, Values: values}
}

// siteValue refuses a name that no template could say, and text that no line
// of any format could hold.
func (c *checker) siteValue(key, value string) {
	const path = "site.values"
	switch {
	case !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`).MatchString(key):
		c.say(path, "%q cannot be the name of a value: use up to 63 letters, digits and _, and no digit first", key)
	case len(value) > siteValueLimit:
		c.say(path+"."+key, "%d bytes are too many: give at most %d", len(value), siteValueLimit)
	case !plain(value):
		c.say(path+"."+key, "a value is one line without control characters")
	}
}

// plain tells whether a text is one line that any format could quote.
func plain(text string) bool { return !strings.ContainsFunc(text, unicode.IsControl) }

// zone tells whether a time zone has that name. Where this system keeps no zone
// files its shape must do.
func zone(name string) bool {
	if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`).MatchString(name) || name == "Local" {
		return false
	}
	if _, err := time.LoadLocation(name); err == nil {
		return true
	}
	_, err := time.LoadLocation("Etc/UTC")
	return err != nil
}
