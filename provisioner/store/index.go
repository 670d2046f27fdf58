package store

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// term is one thing that a host can be found by: what kind it is, then its
// value in the form in which it is compared.
type term string

// Terms; each is empty where the value is junk and finds nothing.

func macTerm(mac string) term {
	if m, ok := inventory.NormalMAC(mac); ok {
		return term("mac " + m)
	}
	return ""
}

func uuidTerm(uuid string) term {
	if u, ok := inventory.NormalUUID(uuid); ok {
		return term("uuid " + u)
	}
	return ""
}

// swappedTerm is the UUID as a witness prints it that reads its first three
// fields in the other byte order.
func swappedTerm(uuid string) term {
	if u, ok := inventory.SwapUUID(uuid); ok {
		return term("uuid " + u)
	}
	return ""
}

func serialTerm(serial string) term {
	if s := inventory.NormalSerial(serial); s != "" {
		return term("serial " + s)
	}
	return ""
}

func nameTerm(name string) term { return tag("name ", strings.ToLower(name)) }

func aliasTerm(id provisioner.HostID) term { return tag("alias ", string(id)) }

// bmcTerm is not an address of the host itself.
func bmcTerm(c *provisioner.Controller) term {
	if c == nil {
		return ""
	}
	return tag("bmc ", c.MAC)
}

func attemptTerm(id provisioner.AttemptID) term { return tag("attempt ", string(id)) }

// keyTerm holds a digest of the token, so that how long a look-up takes says
// nothing about the tokens that there are.
func keyTerm(token string) term {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return term("key " + hex.EncodeToString(sum[:]))
}

func tag(kind, value string) term {
	if value == "" {
		return ""
	}
	return term(kind + value)
}

// identity returns the terms by which two records show to be one host.
func identity(h provisioner.Host) []term {
	row := h.Listed()
	macs := slices.Clone(row.MACs)
	uuids := []string{row.UUID}
	serials := []string{row.Serial}
	if s := h.Facts.Sighting; s != nil {
		macs = append(macs, s.MACs...)
		uuids = append(uuids, s.UUID)
	}
	if r := h.Facts.Report; r != nil {
		uuids = append(uuids, r.Report.System.UUID)
		serials = append(serials, r.Report.System.Serial)
		for _, n := range r.Report.NICs {
			macs = append(macs, n.MAC)
		}
	}
	var terms []term
	for _, m := range macs {
		terms = append(terms, macTerm(m))
	}
	for _, u := range uuids {
		terms = append(terms, uuidTerm(u), swappedTerm(u))
	}
	for _, s := range serials {
		terms = append(terms, serialTerm(s))
	}
	return compact(terms)
}

// terms returns all that h can be found by.
func terms(h provisioner.Host) []term {
	terms := append(identity(h),
		nameTerm(h.Intent.Row.Name), attemptTerm(h.Status.Attempt.ID), keyTerm(h.Status.Key.Reveal()), bmcTerm(h.Intent.BMC))
	for _, a := range h.Aliases {
		terms = append(terms, aliasTerm(a))
	}
	return compact(terms)
}

// compact sorts terms and drops doubles and empty ones.
func compact(terms []term) []term {
	slices.Sort(terms)
	terms = slices.Compact(terms)
	if len(terms) > 0 && terms[0] == "" {
		return terms[1:]
	}
	return terms
}

// index finds hosts by terms. Ids under one term are sorted.
type index map[term][]provisioner.HostID

func (x index) add(h provisioner.Host) {
	for _, t := range terms(h) {
		at, found := slices.BinarySearch(x[t], h.ID)
		if !found {
			x[t] = slices.Insert(x[t], at, h.ID)
		}
	}
}

func (x index) remove(h provisioner.Host) {
	for _, t := range terms(h) {
		ids := slices.DeleteFunc(x[t], func(id provisioner.HostID) bool { return id == h.ID })
		if len(ids) == 0 {
			delete(x, t)
			continue
		}
		x[t] = ids
	}
}

// find returns the hosts under any of the terms, sorted, each once.
func (x index) find(terms ...term) []provisioner.HostID {
	var ids []provisioner.HostID
	for _, t := range terms {
		if t != "" {
			ids = append(ids, x[t]...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
