package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory/manifest"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Controllers asks the BMCs of hosts.
type Controllers interface {
	// Check logs in to h's BMC and says what it can do. It changes nothing.
	Check(ctx context.Context, h provisioner.Host) (v1.CheckedBMC, error)
}

func (p *people) bmcRoutes() []route {
	const of = "/v1/hosts/{ref}/bmc"
	return []route{
		{"GET", "/v1/bmcs", Viewer, "bmcList", "BMCs that hosts list, and those that asked for an address", nil, nil, []v1.FoundBMC{}, p.listBMCs},
		{"POST", of, Operator, "bmcAdd", "Say how a host's BMC is entered; what is left out stays as it is", nil, v1.NewBMC{}, v1.Host{}, p.addBMC},
		{"POST", of + "/check", Operator, "bmcCheck", "Log in to a host's BMC, say what it can do, and change nothing", nil, nil, v1.CheckedBMC{}, p.checkBMC},
	}
}

// listBMCs answers with those of hosts first, then the strangers.
func (p *people) listBMCs(*http.Request) Response {
	list := []v1.FoundBMC{}
	for _, h := range p.Mirror.Hosts() {
		if h.Intent.BMC != nil {
			list = append(list, foundShape(h))
		}
	}
	slices.SortFunc(list, func(a, b v1.FoundBMC) int {
		return cmp.Or(strings.Compare(a.Order, b.Order), strings.Compare(a.Name, b.Name), strings.Compare(a.Host, b.Host))
	})
	if p.Strangers == nil {
		return ok(list)
	}
	for _, b := range p.Strangers() {
		if _, listed := p.Mirror.ByBMC(b.MAC); !listed { // it may have been listed since it asked
			list = append(list, b)
		}
	}
	return ok(list)
}

func foundShape(h provisioner.Host) v1.FoundBMC {
	f := v1.FoundBMC{
		Source: v1.FoundListed, Host: string(h.ID), Name: h.Intent.Row.Name, Order: string(h.Intent.Order),
		Address: h.BMCAddress(), MAC: h.Intent.BMC.MAC,
	}
	if l := h.Facts.BMCLease; l != nil && l.MAC == f.MAC {
		f.Class, f.Network, f.Seen = l.Class, l.Network, moment(l.At)
	}
	if seen := h.SeenBMC(); seen != nil {
		f.Vendor, f.Kind = seen.Vendor, seen.Model
	}
	return f
}

func (p *people) checkBMC(r *http.Request) Response {
	h, err := p.host(r)
	switch {
	case err != nil:
		return fail(err)
	case h.Intent.BMC == nil:
		return fail(conflict("host %s has no BMC that muster knows: list it in the manifest, or run: muster bmc add %[1]s", h.ID))
	case p.Controllers == nil:
		return fail(conflict("this muster drives no BMCs"))
	}
	checked, err := p.Controllers.Check(r.Context(), h)
	if err != nil {
		return fail(err)
	}
	return ok(checked)
}

func (p *people) addBMC(r *http.Request) Response {
	var body v1.NewBMC
	if err := decode(r, smallBody, &body); err != nil {
		return fail(err)
	}
	said, err := manifest.ParseBMC(manifest.BMC{
		Address: body.Address, MAC: body.MAC, User: body.User, Password: manifest.Secret(body.Password), NewPassword: manifest.Secret(body.NewPassword),
		Fingerprint: body.Fingerprint, System: body.System, Driver: manifest.Driver(body.Driver),
	})
	if err != nil {
		return fail(invalid("%w", err))
	}
	h, err := p.host(r)
	if err != nil {
		return fail(err)
	}
	p.names.Lock() // no import gives the same BMC to another host meanwhile
	defer p.names.Unlock()
	if err := p.Mirror.Sync(r.Context()); err != nil {
		return fail(err)
	}
	if err := p.ownBMC(h, wordsOf(said)); err != nil {
		return fail(err)
	}
	return p.grant(r, h.ID, enter(said, body.Eject, p.Sealer))
}

// ownBMC refuses a BMC that is another host's, or whose MAC is a host's own.
func (p *people) ownBMC(h provisioner.Host, words provisioner.Controller) error {
	if host, taken := p.Mirror.ByMAC(words.MAC); taken && words.MAC != "" {
		return invalid("%s is a MAC of host %s itself: a BMC has its own", words.MAC, host.ID)
	}
	for _, other := range p.Mirror.Hosts() {
		if other.ID != h.ID && other.Intent.BMC != nil && other.Intent.BMC.Is(words) {
			return conflict("this BMC is that of host %s: correct the address, or remove that host with muster host rm %[1]s", other.ID)
		}
	}
	return nil
}

// enter says how a host's BMC is entered. What was not said stays as it was.
func enter(said manifest.BMC, eject string, sealer Sealer) wish {
	return func(h *provisioner.Host) (string, error) {
		var prior provisioner.Controller
		if h.Intent.BMC != nil {
			prior = *h.Intent.BMC
		}
		words := over(wordsOf(said), prior)
		words.Added, words.Eject = true, cmp.Or(eject, prior.Eject)
		sealPasswords(sealer, &words, said, prior)
		whole := said
		whole.Driver, whole.User = manifest.Driver(words.Driver), words.User
		switch {
		case words.Place() == "":
			return "", invalid("say where the BMC is: its address, or its MAC where DHCP gives it one")
		case said.User != "" && said.User != prior.User && said.Password == "" && len(prior.Password) > 0:
			return "", invalid("give the password of %s too: the one that is known is that of another account", said.User)
		case whole.Fault() != "":
			return "", invalid("%s", whole.Fault())
		}
		h.Intent.BMC = &words
		return entered(*h), nil
	}
}

// over completes words with what was said before.
func over(words, prior provisioner.Controller) provisioner.Controller {
	words.Address, words.MAC = cmp.Or(words.Address, prior.Address), cmp.Or(words.MAC, prior.MAC)
	words.User, words.Fingerprint = cmp.Or(words.User, prior.User), cmp.Or(words.Fingerprint, prior.Fingerprint)
	words.System, words.Driver = cmp.Or(words.System, prior.System), cmp.Or(words.Driver, prior.Driver)
	return words
}

func entered(h provisioner.Host) string {
	c := h.Intent.BMC
	text := fmt.Sprintf("Its BMC is that at %s", c.Place())
	if c.User != "" {
		text += ", entered as " + c.User
	}
	if len(c.Password) == 0 {
		text += "; its password is not known"
	}
	if len(c.NewPassword) > 0 {
		text += "; it is given a new one where it demands that"
	}
	if c.Eject != "" {
		text += fmt.Sprintf("; the medium %s may be ejected there", c.Eject)
	}
	return text + "."
}
