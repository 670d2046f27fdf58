package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// talos writes a machine configuration of Talos: the order's, which must be a
// whole one, with the host's disk, name and address. Documents of other kinds
// follow as they are. Nothing in it can call anybody.
func (w writer) talos() (Rendered, error) {
	main, others, err := w.talosDocuments()
	if err != nil {
		return Rendered{}, err
	}
	if len(main) == 0 {
		return Rendered{}, errors.New("template: Talos needs a machine configuration; give the one that talosctl gen config wrote")
	}
	if err := merge(main, w.talosOurs(), ""); err != nil {
		return Rendered{}, fmt.Errorf("config: %w", err)
	}
	content, err := encode("", main)
	if err != nil {
		return Rendered{}, err
	}
	for _, other := range others {
		more, err := encode("---\n", other)
		if err != nil {
			return Rendered{}, err
		}
		content = append(content, more...)
	}
	return w.given(content, Document{MainDocument, "application/yaml", content})
}

// talosDocuments are the machine configuration and the documents beside it.
func (w writer) talosDocuments() (main map[string]any, others []map[string]any, err error) {
	family, order, err := w.texts(inYAML)
	if err != nil {
		return nil, nil, err
	}
	main = map[string]any{}
	for _, l := range []struct{ what, text string }{{"template of family " + w.recipe.Family, family}, {"template", order}} {
		documents, err := parseMaps(l.what, l.text)
		if err != nil {
			return nil, nil, err
		}
		for _, doc := range documents {
			if _, has := doc["kind"]; has {
				others = append(others, doc)
				continue
			}
			if err := w.lay(main, l.what, doc); err != nil {
				return nil, nil, err
			}
		}
	}
	config, err := fillLeaves("config", w.source.Config, w.values)
	if err != nil {
		return nil, nil, err
	}
	return main, others, w.lay(main, "config", config.(map[string]any))
}

// parseMaps reads documents one after the other, each a map.
func parseMaps(what, text string) ([]map[string]any, error) {
	var documents []map[string]any
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if err := noAnchors([]byte(text), true); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var doc map[string]any
		err := d.Decode(&doc)
		if isEOF(err) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: filled in, it is no YAML map: %s", what, yamlError(err))
		}
		if len(doc) > 0 {
			documents = append(documents, doc)
		}
	}
}

// talosOurs is what muster decides.
func (w writer) talosOurs() map[string]any {
	network := map[string]any{"hostname": w.values.Host.Name}
	if n := w.values.Network; n.static() {
		at := map[string]any{"addresses": []any{fmt.Sprintf("%s/%d", n.Address, n.Prefix)}}
		if n.Gateway != "" {
			at["routes"] = []any{map[string]any{"gateway": n.Gateway}}
		}
		link := map[string]any{"deviceSelector": map[string]any{"hardwareAddr": w.values.bootMAC()}}
		if n.VLAN != 0 {
			at["vlanId"] = n.VLAN
			link["vlans"] = []any{at}
		} else {
			for key, value := range at {
				link[key] = value
			}
		}
		network["interfaces"] = []any{link}
		if len(n.DNS) > 0 {
			network["nameservers"] = anys(n.DNS)
		}
	}
	return map[string]any{"machine": map[string]any{
		"install": map[string]any{"disk": w.values.Disk.Path},
		"network": network,
	}}
}
