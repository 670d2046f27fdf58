package recipe

import (
	"fmt"
	"net/netip"
)

// noCloud writes the seed of a disk image with cloud-init: the volume CIDATA.
func (w writer) noCloud() (Rendered, error) {
	doc, err := w.document("#cloud-config")
	if err != nil {
		return Rendered{}, err
	}
	ours, err := w.ours("user-data.yaml")
	if err != nil {
		return Rendered{}, err
	}
	for _, layer := range []map[string]any{w.values.Handoff, ours} {
		if err := merge(doc, layer, ""); err != nil {
			return Rendered{}, fmt.Errorf("config: %w", err)
		}
	}
	userData, err := encode(header, doc)
	if err != nil {
		return Rendered{}, err
	}
	seed, err := w.seed(userData)
	if err != nil {
		return Rendered{}, err
	}
	if w.values.Network.static() {
		network, err := encode("", w.netplan())
		if err != nil {
			return Rendered{}, err
		}
		seed = append(seed, Document{"network-config", yamlType, network})
	}
	return Rendered{Documents: []Document{{MainDocument, yamlType, userData}}, Seed: seed}, nil
}

// seed are the three files that cloud-init's NoCloud looks for.
func (w writer) seed(userData []byte) ([]Document, error) {
	ours, err := w.ours("meta-data.yaml")
	if err != nil {
		return nil, err
	}
	metaData, err := encode("", ours)
	return []Document{
		{"user-data", yamlType, userData},
		{"meta-data", yamlType, metaData},
		{"vendor-data", yamlType, Inert()},
	}, err
}

// netplan is the host's fixed address in version 2 of cloud-init's network
// configuration, which is netplan's.
func (w writer) netplan() map[string]any {
	n := w.values.Network
	link := map[string]any{"match": map[string]any{"macaddress": w.values.bootMAC()}}
	if w.values.bootMAC() == "" {
		link["match"] = map[string]any{"name": "e*"}
	}
	at := map[string]any{"addresses": []any{fmt.Sprintf("%s/%d", n.Address, n.Prefix)}}
	if n.Gateway != "" {
		to := "0.0.0.0/0"
		if netip.MustParseAddr(n.Gateway).Is6() {
			to = "::/0"
		}
		at["routes"] = []any{map[string]any{"to": to, "via": n.Gateway}}
	}
	if len(n.DNS) > 0 {
		at["nameservers"] = map[string]any{"addresses": n.DNS}
	}
	doc := map[string]any{"version": 2, "ethernets": map[string]any{"boot": link}}
	if n.VLAN != 0 {
		at["id"], at["link"] = n.VLAN, "boot"
		doc["vlans"] = map[string]any{fmt.Sprintf("vlan%d", n.VLAN): at}
		return doc
	}
	for key, value := range at {
		link[key] = value
	}
	return doc
}
