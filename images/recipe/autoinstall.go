package recipe

import (
	"errors"
	"fmt"
	"maps"
)

// autoinstall writes what Ubuntu's installer reads: NoCloud files from the
// network, or autoinstall.yaml, which is the same without its header, from the
// medium.
func (w writer) autoinstall() (Rendered, error) {
	doc, err := w.ours("autoinstall-before.yaml")
	if err != nil {
		return Rendered{}, err
	}
	order, err := w.document("#cloud-config")
	if err != nil {
		return Rendered{}, err
	}
	ours, err := w.ours("autoinstall.yaml")
	if err != nil {
		return Rendered{}, err
	}
	carried := map[string]any{"autoinstall": map[string]any{"user-data": w.values.Handoff}}
	for _, layer := range []map[string]any{order, carried, ours} {
		if err := merge(doc, layer, ""); err != nil {
			return Rendered{}, fmt.Errorf("config: %w", err)
		}
	}
	inner, ok := doc["autoinstall"].(map[string]any)
	if !ok {
		return Rendered{}, errors.New("config: autoinstall must be a map")
	}
	if err := w.settle(inner); err != nil {
		return Rendered{}, err
	}
	return w.autoinstallFiles(doc, inner)
}

func (w writer) autoinstallFiles(doc, inner map[string]any) (Rendered, error) {
	userData, err := encode(header, doc)
	if err != nil {
		return Rendered{}, err
	}
	file, err := encode("", inner)
	if err != nil {
		return Rendered{}, err
	}
	seed, err := w.seed(userData)
	if err != nil {
		return Rendered{}, err
	}
	return w.given(file, append([]Document{{MainDocument, yamlType, userData}}, seed...)...)
}

// settle puts in what depends on what the order says: the question to muster
// before the order's early commands, the host's name, the disk, the network.
func (w writer) settle(inner map[string]any) error {
	early, ok := inner["early-commands"].([]any)
	if !ok {
		return errors.New("config: autoinstall.early-commands must be a list")
	}
	ours, err := w.ours("autoinstall.yaml")
	if err != nil {
		return err
	}
	first := ours["autoinstall"].(map[string]any)["early-commands"].([]any)
	inner["early-commands"] = append(append([]any(nil), first...), early[:len(early)-len(first)]...)
	if identity, ok := inner["identity"].(map[string]any); ok {
		identity = maps.Clone(identity)
		identity["hostname"] = w.values.Host.Name
		inner["identity"] = identity
	}
	if _, ok := inner["network"]; !ok && w.values.Network.static() {
		inner["network"] = w.netplan()
	}
	return w.settleStorage(inner)
}

// settleStorage leaves the installer no other disk than the host's.
func (w writer) settleStorage(inner map[string]any) error {
	storage, ok := inner["storage"].(map[string]any)
	if inner["storage"] != nil && !ok {
		return errors.New("config: autoinstall.storage must be a map")
	}
	storage = maps.Clone(storage)
	if actions, ok := storage["config"].([]any); ok {
		return w.checkDisks(actions)
	}
	layout, ok := storage["layout"].(map[string]any)
	if storage["layout"] != nil && !ok {
		return errors.New("config: autoinstall.storage.layout must be a map")
	}
	layout = maps.Clone(layout)
	if layout == nil {
		layout = map[string]any{"name": "lvm"}
	}
	layout["match"] = map[string]any{"path": w.values.Disk.Path}
	if storage == nil {
		storage = map[string]any{}
	}
	storage["layout"] = layout
	inner["storage"] = storage
	return nil
}

// checkDisks refuses a layout of the order's own that names another disk.
func (w writer) checkDisks(actions []any) error {
	for n, action := range actions {
		a, ok := action.(map[string]any)
		if !ok || a["type"] != "disk" {
			continue
		}
		if a["path"] != w.values.Disk.Path || a["match"] != nil || a["serial"] != nil || a["wwn"] != nil {
			return fmt.Errorf("config: autoinstall.storage.config[%d]: muster chooses the disk; write path: {{.Disk.Path}} and neither match, serial nor wwn", n)
		}
	}
	return nil
}
