package recipe

import (
	"embed"
	"errors"
	"fmt"
	"slices"
)

// Source is what an order adds to its hosts' configuration.
type Source struct {
	// Template is a text/template of a document in the family's own format. It
	// sees [Values].
	Template string
	// Config is merged over the template where the format consists of maps:
	// cloud-config, autoinstall, ignition, talos. Its texts may be templates.
	Config map[string]any
}

// Rendered is all that one host gets. The caller owns it.
type Rendered struct {
	// Documents are for serving below URLs.Seed by their names; "config" is the
	// main one, and served as URLs.Config, too.
	Documents []Document
	Medium    []Change   // what differs in the host's ISO
	Seed      []Document // files of the NoCloud volume beside a disk image
	Args      []string   // kernel arguments of a netboot, beside the recipe's
}

// Document is one text that a host reads.
type Document struct {
	Name    string
	Type    string // media type
	Content []byte
}

// Change is one difference of a host's ISO: a file, or kernel arguments in its
// boot menus.
type Change struct {
	Path    string // of a file, absolute; empty for kernel arguments
	Content []byte
	Args    []string // put last
	Drop    []string // taken out before
}

// MainDocument is the name of the document that an installer reads first.
const MainDocument = "config"

// maxUserData is the size above which installers do not read their
// configuration.
const maxUserData = 1 << 20

// layers are muster's own part of every configuration: what a host is given
// whatever its order adds.
//
//go:embed layers
var layers embed.FS

// Render makes one host's configuration: the family's template, then the
// order's template and config, then the hand-off's keys, then muster's own
// part, each over those before it. Where muster decides, it refuses an order
// that says it, too.
func (r Recipe) Render(v Values, s Source) (Rendered, error) {
	if r.Config.Format == "" {
		return Rendered{}, errors.New("the image is of no known family, so nobody knows what its configuration looks like")
	}
	v = v.filled()
	if err := v.check(); err != nil {
		return Rendered{}, fmt.Errorf("render the configuration of %s: %w", v.Host.Name, err)
	}
	out, err := writer{recipe: r, values: v, source: s}.write()
	if err != nil {
		return Rendered{}, fmt.Errorf("render the configuration of %s: %w", v.Host.Name, err)
	}
	for _, d := range slices.Concat(out.Documents, out.Seed) {
		if len(d.Content) > maxUserData {
			return Rendered{}, fmt.Errorf("render the configuration of %s: %s has %d bytes, installers read at most %d", v.Host.Name, d.Name, len(d.Content), maxUserData)
		}
	}
	return out, nil
}

// CheckSource says what is wrong with an order's template and config, for one
// of its hosts. What is not known of the host yet stands in as a probe of the
// right form.
func (r Recipe) CheckSource(s Source, v Values) error {
	v = v.probed().filled()
	if err := v.check(); err != nil {
		return err
	}
	_, err := writer{recipe: r, values: v, source: s}.write()
	return err
}

// writer writes one host's configuration.
type writer struct {
	recipe Recipe
	values Values
	source Source
}

func (w writer) write() (Rendered, error) {
	switch w.recipe.Config.Format {
	case None:
		return w.none()
	case CloudConfig:
		return w.cloudConfig()
	case NoCloud:
		return w.noCloud()
	case Preseed:
		return w.preseed()
	case Kickstart:
		return w.kickstart()
	case Autoinstall:
		return w.autoinstall()
	case Ignition:
		return w.ignition()
	case Talos:
		return w.talos()
	}
	return Rendered{}, fmt.Errorf("muster does not write the configuration of a %s (%s)", w.recipe.About, w.recipe.Config.Format)
}

// none refuses what would be read by nobody.
func (w writer) none() (Rendered, error) {
	if w.source.Template != "" || len(w.source.Config) > 0 {
		return Rendered{}, fmt.Errorf("a %s (%s) reads no configuration; leave template and config out", w.recipe.About, w.recipe.Family)
	}
	return Rendered{}, nil
}

// noConfig refuses maps where the format has none.
func (w writer) noConfig() error {
	if len(w.source.Config) > 0 {
		return fmt.Errorf("config: %s does not consist of maps; give a template instead", w.recipe.Config.Format)
	}
	return nil
}

// texts fills in the family's template and the order's.
func (w writer) texts(in language) (family, order string, err error) {
	if family, err = execute("template of family "+w.recipe.Family, w.recipe.Template, in, w.values); err != nil {
		return "", "", err
	}
	order, err = execute("template", w.source.Template, in, w.values)
	return family, order, err
}

// own is what muster's own templates see: the values, and lines that are put
// together from them.
type own struct {
	Values
	Ask     text // asks URLs.Writing with curl, and ends the installation at a no
	Tell    text // puts a POST with curl, asked again for minutes
	Call    text // the same for half a minute, for a system that boots
	Device  text // the disk as this image's installer finds it
	Guard   text // sees that Device is the disk that was verified, and ends the installation where it is not; may be empty
	Refusal text // ends the installation
	NoDisk  text // the same where the disk is not there
	Booted  text // the script that calls URLs.Booted
	Unit    text // the systemd unit that runs it
	MAC     string
}

// The calls to muster. A server that restarts refuses connections for a moment,
// and curl by itself takes that for an answer. The installer asks again for five
// minutes, since a lost "written" would have the host installed twice. The
// installed system does for half a minute only: it calls at every boot, also
// where muster is long gone, and its agent's registration proves as much.
const (
	installerCall = "curl -fsS -m 10 --retry 60 --retry-delay 5 --retry-connrefused --retry-max-time 300 -X POST"
	systemCall    = "curl -fsS -m 10 --retry 6 --retry-delay 5 --retry-connrefused --retry-max-time 30 -X POST"
)

// refusal is what an installer does that may not write. Nothing after it must
// ever run, even if poweroff does not work.
const refusal = "{ echo 'muster does not let this installation write to the disk; powering off'; while :; do poweroff -f; sleep 60; done; }"

// noDisk is what an installer does that does not find its disk.
const noDisk = "{ echo 'the disk that muster chose is not there; powering off'; while :; do poweroff -f; sleep 60; done; }"

// layer fills in one of muster's own templates.
func (w writer) layer(name string, in language) (string, error) {
	o, err := w.own()
	if err != nil {
		return "", err
	}
	return fileOf(name, in, o)
}

func (w writer) own() (own, error) {
	o := own{Values: w.values, Tell: installerCall, Call: systemCall, Refusal: refusal, NoDisk: noDisk, MAC: w.values.bootMAC()}
	if w.values.URL.Writing != "" {
		o.Ask = text(installerCall + " " + w.values.URL.Writing + " || " + refusal)
	}
	device, guard := w.device()
	o.Device, o.Guard = text(device), text(guard)
	if w.values.URL.Booted == "" {
		return o, nil
	}
	script, err := fileOf("booted.sh", inShell, w.values)
	if err != nil {
		return own{}, err
	}
	unit, err := fileOf("booted.service", inShell, w.values)
	o.Booted, o.Unit = text(script), text(unit)
	return o, err
}

// fileOf fills in a file of layers.
func fileOf(name string, in language, data any) (string, error) {
	source, err := layers.ReadFile("layers/" + name)
	if err != nil {
		return "", err
	}
	return execute("muster's "+name, string(source), in, data)
}
