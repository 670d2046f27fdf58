package api

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/muster-boot/muster/inventory/manifest"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Sealer keeps the passwords of BMCs from lying in the store in clear; seal.Box
// is one.
type Sealer interface {
	Seal(plain []byte, context string) []byte
	Open(sealed []byte, context string) ([]byte, error)
}

// wordsOf are what a row says of a BMC, but for its passwords.
func wordsOf(b manifest.BMC) provisioner.Controller {
	return provisioner.Controller{
		Address: b.Address, MAC: b.MAC, User: b.User, Fingerprint: b.Fingerprint, System: b.System, Driver: string(b.Driver),
	}
}

// controller is what an import makes of a row's BMC. What the manifest says goes
// before; what a person gave for this host by itself, and a password that the
// manifest no longer says, stay.
func (im importer) controller(b manifest.BMC, match *provisioner.Host) *provisioner.Controller {
	var prior provisioner.Controller
	if match != nil && match.Intent.BMC != nil {
		prior = *match.Intent.BMC
	}
	words := wordsOf(b)
	switch {
	case !b.Listed() && prior.Added:
		return &prior
	case !b.Listed():
		return nil
	case !words.Is(prior):
		prior = provisioner.Controller{}
	}
	words.User = cmp.Or(words.User, prior.User)
	if prior.Added {
		words = over(words, prior)
		words.Added, words.Eject = true, prior.Eject
		if b.Password == "" && len(prior.Password) > 0 {
			words.User = prior.User // an account is a user and its password
		}
	}
	sealPasswords(im.sealer, &words, b, prior)
	return &words
}

// sealPasswords completes words with what was said of the account's passwords;
// what was not said and was known of the same account goes along.
func sealPasswords(s Sealer, words *provisioner.Controller, said manifest.BMC, prior provisioner.Controller) {
	if prior.User != words.User {
		prior.Password, prior.NewPassword = nil, nil
	}
	words.Password = sealFor(s, words.Context(), string(said.Password), kept{prior.Password, prior.Context()})
	words.NewPassword = sealFor(s, words.NewContext(), string(said.NewPassword), kept{prior.NewPassword, prior.NewContext()})
}

// kept is a password that is known already.
type kept struct {
	sealed  []byte
	context string
}

// sealFor is a password as it is kept, nil for none. Sealing anew never gives the
// same bytes, so what is there stays where it says the same.
func sealFor(s Sealer, context, password string, prior kept) []byte {
	var known []byte
	if len(prior.sealed) > 0 {
		plain, err := s.Open(prior.sealed, prior.context)
		if err != nil && password == "" && prior.context == context {
			return prior.sealed // whoever uses it says that it does not open
		}
		known = plain
	}
	switch {
	case password == "" && len(known) == 0:
		return nil
	case (password == "" || bytes.Equal(known, []byte(password))) && prior.context == context:
		return prior.sealed
	case password == "":
		return s.Seal(known, context)
	}
	return s.Seal([]byte(password), context)
}

// places are the words by which a BMC is found.
func places(c provisioner.Controller) []string {
	var list []string
	if c.Address != "" {
		list = append(list, "address "+c.Address)
	}
	if c.MAC != "" {
		list = append(list, "mac "+c.MAC)
	}
	return list
}

// taken names the rows whose BMC is that of a host which is in no row: two hosts
// that one BMC drives would undo each other. Hosts that this import removes
// count nothing, and matching has told those of other orders.
func (im importer) taken(order provisioner.OrderName, matches []*provisioner.Host, hosts []provisioner.Host) []v1.Remark {
	matched := map[provisioner.HostID]bool{}
	for _, m := range matches {
		if m != nil {
			matched[m.ID] = true
		}
	}
	owners := map[string][]provisioner.Host{}
	for _, h := range hosts {
		if c := h.Intent.BMC; c != nil && !matched[h.ID] && (h.Intent.Order != order || wasSeen(h)) {
			for _, place := range places(*c) {
				owners[place] = append(owners[place], h)
			}
		}
	}
	var wrong []v1.Remark
	for i, row := range im.Rows {
		if owner, ok := ownerOf(wordsOf(row.BMC), owners); ok && (matches[i] != nil || owner.Intent.Order == "") {
			wrong = append(wrong, v1.Remark{Source: "manifest", Line: row.Line, Text: fmt.Sprintf(
				"its BMC is that of host %s already: correct the row, or remove that host with muster host rm %[1]s", owner.ID)})
		}
	}
	return wrong
}

// ownerOf is the host that a BMC belongs to.
func ownerOf(c provisioner.Controller, owners map[string][]provisioner.Host) (provisioner.Host, bool) {
	for _, place := range places(c) {
		for _, h := range owners[place] {
			if h.Intent.BMC.Is(c) {
				return h, true
			}
		}
	}
	return provisioner.Host{}, false
}
