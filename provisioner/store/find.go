package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/provisioner"
)

// What follows finds hosts in the mirror. Values are compared as inventory
// normalises them; junk finds nothing. Where several hosts have what should be
// one's alone, the one with the lowest id is returned, and [Mirror.Alike]
// tells the others.

// Host returns the host that has this id, or was absorbed under it into another.
func (m *Mirror) Host(id provisioner.HostID) (provisioner.Host, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if h, ok := m.hosts[id]; ok {
		return h, true
	}
	return m.first(aliasTerm(id))
}

// ByMAC finds a host by any of its addresses: in the manifest, seen on the
// network, or reported.
func (m *Mirror) ByMAC(mac string) (provisioner.Host, bool) { return m.lookUp(macTerm(mac)) }

// ByUUID finds a host by its UUID in either byte order.
func (m *Mirror) ByUUID(uuid string) (provisioner.Host, bool) { return m.lookUp(uuidTerm(uuid)) }

// ByBMC finds the host whose BMC is listed with this MAC.
func (m *Mirror) ByBMC(mac string) (provisioner.Host, bool) {
	return m.lookUp(bmcTerm(&provisioner.Controller{MAC: mac}))
}

// BySerial finds a host by its system serial, in the manifest or reported.
func (m *Mirror) BySerial(serial string) (provisioner.Host, bool) {
	return m.lookUp(serialTerm(serial))
}

// ByAttempt finds the host whose present attempt this is.
func (m *Mirror) ByAttempt(id provisioner.AttemptID) (provisioner.Host, bool) {
	return m.lookUp(attemptTerm(id))
}

// ByKey finds the host whose scout has this token.
func (m *Mirror) ByKey(token string) (provisioner.Host, bool) { return m.lookUp(keyTerm(token)) }

// Alike returns the other hosts that share an address, a UUID or a serial with
// h, by id. h itself need not be in the store.
func (m *Mirror) Alike(h provisioner.Host) []provisioner.Host {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var alike []provisioner.Host
	for _, id := range m.index.find(identity(h)...) {
		if id != h.ID {
			alike = append(alike, m.hosts[id])
		}
	}
	return alike
}

// Resolve finds the host that a person means: by its id, an id it had before,
// or else by serial, name or MAC. The error is a NotFound fault, or a Conflict
// fault that lists the hosts where it could be several.
func (m *Mirror) Resolve(ref string) (provisioner.Host, error) {
	if h, ok := m.Host(provisioner.HostID(ref)); ok {
		return h, nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	ids := m.index.find(serialTerm(ref), nameTerm(ref), macTerm(ref))
	switch len(ids) {
	case 0:
		return provisioner.Host{}, notFound("no host has the id, serial, name or MAC %q", ref)
	case 1:
		return m.hosts[ids[0]], nil
	}
	return provisioner.Host{}, &provisioner.Fault{Kind: provisioner.Conflict, Err: fmt.Errorf(
		"%q means %d hosts; name one by its id: %s", ref, len(ids), strings.Join(m.describe(ids), ", "))}
}

// maxNamed bounds the hosts that one sentence lists.
const maxNamed = 8

func (m *Mirror) describe(ids []provisioner.HostID) []string {
	named := make([]string, 0, min(len(ids), maxNamed+1))
	for _, id := range ids {
		if len(named) == maxNamed {
			return append(named, "...")
		}
		text := string(id)
		if row := m.hosts[id].Intent.Row; row.Name != "" || row.Serial != "" {
			text += " (" + strings.Join(slices.DeleteFunc([]string{row.Name, row.Serial}, isEmpty), ", ") + ")"
		}
		named = append(named, text)
	}
	return named
}

func isEmpty(s string) bool { return s == "" }

func (m *Mirror) lookUp(t term) (provisioner.Host, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.first(t)
}

func (m *Mirror) first(t term) (provisioner.Host, bool) {
	ids := m.index.find(t)
	if len(ids) == 0 {
		return provisioner.Host{}, false
	}
	return m.hosts[ids[0]], true
}
