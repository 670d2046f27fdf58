package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Ignition runs in the live system that netboot or the medium starts, and again
// in the installed one. The first is muster's alone: its one unit asks, installs
// and tells. The second is the order's with muster's under it; the live system
// fetches it and hands it to the installer. So nothing that an order says about
// disks is done before muster was asked.

// ignitionType is the media type of Ignition's configurations.
const ignitionType = "application/vnd.coreos.ignition+json"

// InstalledDocument is the name of the configuration of the installed system.
const InstalledDocument = "installed.ign"

// ignitionVersion is what muster writes where the order names no version.
const ignitionVersion = "3.4.0"

// ignitionOwn is what muster's own layers see.
type ignitionOwn struct {
	own
	Install     text // the command that writes the disk
	InstallURL  string
	BootedURL   string
	InstallUnit text
}

func (w writer) ignition() (Rendered, error) {
	installed, err := w.installed()
	if err != nil {
		return Rendered{}, err
	}
	o, err := w.ignitionOwn()
	if err != nil {
		return Rendered{}, err
	}
	version := installed["ignition"].(map[string]any)["version"]
	live, err := w.ignitionLayer("live.yaml", o, version)
	if err != nil {
		return Rendered{}, err
	}
	main, err := encode("", live)
	if err != nil {
		return Rendered{}, err
	}
	target, err := encode("", installed)
	if err != nil {
		return Rendered{}, err
	}
	return w.given(initramfs("config.ign", main), Document{MainDocument, ignitionType, main}, Document{InstalledDocument, ignitionType, target})
}

// installed is the configuration of the installed system.
func (w writer) installed() (map[string]any, error) {
	doc, err := w.document()
	if err != nil {
		return nil, err
	}
	version, err := versionOf(doc)
	if err != nil {
		return nil, err
	}
	if err := refuseTaken(doc); err != nil {
		return nil, err
	}
	o, err := w.ignitionOwn()
	if err != nil {
		return nil, err
	}
	ours, err := w.ignitionLayer("installed.yaml", o, version)
	if err != nil {
		return nil, err
	}
	for _, layer := range []map[string]any{ours, w.addressFiles()} {
		if err := merge(doc, layer, ""); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
	}
	return doc, nil
}

// addressFiles has the installed system keep its fixed address.
func (w writer) addressFiles() map[string]any {
	var files []any
	for _, f := range w.systemAddress() {
		files = append(files, map[string]any{"path": f.path, "mode": f.mode, "overwrite": true, "contents": map[string]any{"source": dataURL(f.content)}})
	}
	if len(files) == 0 {
		return nil
	}
	return map[string]any{"storage": map[string]any{"files": files}}
}

// versionOf is the version of Ignition's format that the order writes.
func versionOf(doc map[string]any) (string, error) {
	head, ok := doc["ignition"].(map[string]any)
	if !ok && doc["ignition"] != nil {
		return "", errors.New("config: ignition must be a map")
	}
	if head["version"] == nil {
		return ignitionVersion, nil
	}
	version, _ := head["version"].(string)
	if !strings.HasPrefix(version, "3.") {
		return "", fmt.Errorf(`config: ignition.version: %v is not one of version 3; write "%s"`, head["version"], ignitionVersion)
	}
	return version, nil
}

// refuseTaken refuses what muster puts into the installed system, too: Ignition
// takes no path and no unit twice.
func refuseTaken(doc map[string]any) error {
	storage, _ := doc["storage"].(map[string]any)
	files, _ := storage["files"].([]any)
	systemd, _ := doc["systemd"].(map[string]any)
	units, _ := systemd["units"].([]any)
	for _, item := range append(append([]any(nil), files...), units...) {
		m, _ := item.(map[string]any)
		switch {
		case m["path"] == "/etc/hostname":
			return errors.New("config: storage.files: /etc/hostname comes from the manifest's column name; leave it out")
		case m["path"] == "/etc/muster-booted", m["name"] == "muster-booted.service":
			return errors.New("config: muster-booted is muster's own; give it another name")
		}
	}
	return nil
}

func (w writer) ignitionOwn() (ignitionOwn, error) {
	base, err := w.own()
	if err != nil {
		return ignitionOwn{}, err
	}
	base.Unit = text(strings.Replace(string(base.Unit), "/usr/local/sbin/muster-booted", "/etc/muster-booted", 1))
	o := ignitionOwn{own: base, BootedURL: dataURL(string(base.Booted))}
	if w.values.URL.Seed == "" {
		return ignitionOwn{}, errors.New("the live system finds the installed one's configuration below the seed's URL, and there is none")
	}
	install, err := execute("the recipe's config.install", w.recipe.Config.Install, inShell, w.values)
	if err != nil {
		return ignitionOwn{}, err
	}
	o.Install = text(strings.TrimSpace(install))
	script, err := fileOf("install.sh", inShell, o)
	if err != nil {
		return ignitionOwn{}, err
	}
	unit, err := fileOf("install.service", inShell, o)
	o.InstallURL, o.InstallUnit = dataURL(script), text(unit)
	return o, err
}

func (w writer) ignitionLayer(name string, o ignitionOwn, version any) (map[string]any, error) {
	layer, err := fileOf(name, inYAML, o)
	if err != nil {
		return nil, err
	}
	doc, err := parseMap("muster's "+name, layer, nil)
	if err != nil {
		return nil, err
	}
	doc["ignition"] = map[string]any{"version": version}
	return doc, nil
}

// dataURL is a text as RFC 2397 has it.
func dataURL(text string) string { return "data:," + url.PathEscape(text) }

// initramfs is an archive of one file, as the kernel reads it
// (Documentation/driver-api/early-userspace/buffer-format.rst).
func initramfs(name string, content []byte) []byte {
	var out bytes.Buffer
	entry := func(name string, mode int, content []byte) {
		fmt.Fprintf(&out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
		out.WriteString(name + "\x00")
		out.Write(make([]byte, -out.Len()&3))
		out.Write(content)
		out.Write(make([]byte, -out.Len()&3))
	}
	entry(name, 0o100600, content)
	entry("TRAILER!!!", 0, nil)
	return out.Bytes()
}
