package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// mediumReadAhead is how many bytes QEMU asks for at once when a host reads a
// medium by HTTP; less makes an installation crawl.
const mediumReadAhead = 1 << 20

// node describes an image to QEMU, as its blockdev-add does.
type node map[string]any

// blockdev describes the medium at a path or an http or https URL.
func blockdev(name, medium string) node {
	file := node{"driver": "file", "filename": medium, "read-only": true}
	if scheme, _, ok := strings.Cut(medium, "://"); ok {
		file = node{"driver": scheme, "url": medium, "readahead": mediumReadAhead, "read-only": true}
		if scheme == "https" {
			file["sslverify"] = false
		}
	}
	return node{"driver": "raw", "node-name": name, "read-only": true, "file": file}
}

func (n node) json() string {
	text, err := json.Marshal(n)
	if err != nil {
		panic(err) // strings, numbers and booleans only
	}
	return string(text)
}

// InsertMedium puts an ISO image, named as in [Spec.CD], into the drive, in
// place of what is there. It stays over power-offs. A host that is on sees it at
// once, and an image that cannot be opened is an error and leaves the drive
// empty; at a host that is off, such an image makes PowerOn fail.
func (h *Host) InsertMedium(_ context.Context, medium string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spec.CD == "" && !h.spec.Drive {
		return fmt.Errorf("insert a medium into %s: the host has no drive", h.spec.Name)
	}
	if err := h.eject(); err != nil {
		return fmt.Errorf("empty the drive of %s: %w", h.spec.Name, err)
	}
	if h.Off() {
		h.medium = medium
		return nil
	}
	if err := h.power.Load().insert(medium); err != nil {
		return fmt.Errorf("insert %s into %s: %w", medium, h.spec.Name, err)
	}
	h.medium = medium
	return nil
}

// EjectMedium empties the drive, even if the host's system has locked its door;
// it stays empty over power-offs. An empty drive is left alone.
func (h *Host) EjectMedium(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.eject(); err != nil {
		return fmt.Errorf("empty the drive of %s: %w", h.spec.Name, err)
	}
	return nil
}

// Medium is what lies in the drive, or empty.
func (h *Host) Medium() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.medium
}

func (h *Host) eject() error {
	if h.medium == "" {
		return nil
	}
	if p := h.power.Load(); !h.Off() && p.loaded {
		if err := p.qmp.executeAll(ejectCommands(p.node())); err != nil {
			return err
		}
		p.loaded = false
	}
	h.medium = ""
	return nil
}

// node is the name of the image that is in the drive, or was last.
func (p *process) node() string { return fmt.Sprint("medium", p.inserted) }

// insert opens the image under a name that no earlier one had: QEMU may hold on
// to an old one for a moment.
func (p *process) insert(medium string) error {
	p.inserted++
	if err := p.qmp.execute(command{"blockdev-add", blockdev(p.node(), medium)}); err != nil {
		return err
	}
	err := p.qmp.executeAll([]command{
		tray("blockdev-open-tray", true),
		{"blockdev-insert-medium", map[string]any{"id": cdID, "node-name": p.node()}},
		tray("blockdev-close-tray", false),
	})
	p.loaded = err == nil
	return err
}

func ejectCommands(name string) []command {
	return []command{
		tray("blockdev-open-tray", true),
		{"blockdev-remove-medium", map[string]any{"id": cdID}},
		tray("blockdev-close-tray", false),
		{"blockdev-del", map[string]any{"node-name": name}},
	}
}

func tray(name string, force bool) command {
	arguments := map[string]any{"id": cdID}
	if force {
		arguments["force"] = true
	}
	return command{name, arguments}
}
