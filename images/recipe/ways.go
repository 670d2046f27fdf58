package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Way is one transport, and why an image of the family cannot go by it.
type Way struct {
	Transport Transport
	WhyNot    []string // sentences; none: it can
}

// Trait is something that holds for some images of a family only, and that its
// files do not tell: a site says it of an image.
type Trait struct {
	Name string               `yaml:"name"`
	Not  map[Transport]string `yaml:"not"` // ways that it bars, with the reason of each
}

// transports are all that there are.
var transports = [...]Transport{Netboot, Medium, UEFIHTTP, Write}

// Ways are the ways by which an image of the family, with those traits, can
// reach a host, in order of preference; behind them those by which it cannot.
func (r Recipe) Ways(traits ...string) []Way {
	order := slices.Clone(r.Carried)
	for _, t := range transports {
		if !slices.Contains(order, t) {
			order = append(order, t)
		}
	}
	var can, cannot []Way
	for _, t := range order {
		if why := r.whyNot(t, traits); len(why) > 0 {
			cannot = append(cannot, Way{t, why})
			continue
		}
		can = append(can, Way{Transport: t})
	}
	return append(can, cannot...)
}

// WhyNot says why an image of the family, with those traits, cannot reach a
// host by a transport, in one sentence; or nothing.
func (r Recipe) WhyNot(t Transport, traits ...string) error {
	if why := r.whyNot(t, traits); len(why) > 0 {
		return errors.New(strings.Join(why, "; "))
	}
	return nil
}

func (r Recipe) whyNot(t Transport, traits []string) []string {
	var why []string
	if !slices.Contains(r.Carried, t) {
		why = append(why, r.barred(t))
	}
	for _, trait := range r.Traits {
		if sentence, bars := trait.Not[t]; bars && slices.Contains(traits, trait.Name) {
			why = append(why, sentence)
		}
	}
	return why
}

// barred is why no image of the family goes by a transport.
func (r Recipe) barred(t Transport) string {
	if sentence, known := r.Not[t]; known {
		return sentence
	}
	what := fmt.Sprintf("a %s (%s)", r.About, r.Family)
	switch t {
	case Netboot:
		return what + " has no kernel that a boot loader could fetch"
	case Medium, UEFIHTTP:
		return what + " is no ISO"
	case Write:
		return what + " is no image of a disk"
	}
	return fmt.Sprintf("there is no transport %q", t)
}

// Installs says why no host can be installed from an image of the family, or
// nothing.
func (r Recipe) Installs() error {
	switch {
	case r.Family == "":
		return errors.New("the image is of no known family, so nobody knows how it boots")
	case !r.Config.Format.written():
		return fmt.Errorf("muster does not write the configuration of a %s (%s)", r.About, r.Config.Format)
	case len(r.Carried) == 0:
		return fmt.Errorf("no way is known by which a %s (%s) reaches a host; name one in its recipe's ways", r.About, r.Family)
	}
	return nil
}

// boots says why an image of the family does not boot from the network, or
// nothing.
func (r Recipe) boots() error {
	if why := r.whyNot(Netboot, nil); r.Family != "" && len(why) > 0 {
		return fmt.Errorf("a %s (%s) does not boot from the network: %s", r.About, r.Family, strings.Join(why, "; "))
	}
	return r.Installs()
}

// checkWays says what is wrong with what a recipe says of its ways.
func (r Recipe) checkWays() []error {
	var wrong []error
	known := func(at string, t Transport) {
		if !slices.Contains(transports[:], t) {
			wrong = append(wrong, fmt.Errorf("%s: %q is not one of netboot, media, uefi-http, write", at, t))
		}
	}
	for _, t := range r.Proven {
		known("proven", t)
	}
	for _, t := range r.Carried {
		known("ways", t)
		if err := r.carries(t); err != nil {
			wrong = append(wrong, fmt.Errorf("ways: %w", err))
		}
	}
	for t := range r.Not {
		known("not", t)
	}
	for _, trait := range r.Traits {
		for t := range trait.Not {
			known("traits: "+trait.Name, t)
		}
	}
	return wrong
}

// carries refuses a way that the recipe does not say how to go.
func (r Recipe) carries(t Transport) error {
	switch t {
	case Netboot:
		if r.Kernel == "" {
			return errors.New("netboot needs a kernel")
		}
	case Medium, UEFIHTTP:
		if r.Form != ISO {
			return fmt.Errorf("%s needs the form iso", t)
		}
	case Write:
		if r.Form != Disk {
			return errors.New("write needs the form disk")
		}
	}
	return nil
}

// usual are the ways of a recipe that names none: all that its form allows.
func (r Recipe) usual() []Transport {
	var ways []Transport
	for _, t := range transports {
		if t != UEFIHTTP && r.carries(t) == nil {
			ways = append(ways, t)
		}
	}
	return ways
}
