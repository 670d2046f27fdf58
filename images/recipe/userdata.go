package recipe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// Host is what one host's user-data is made of. The URLs are called with an
// empty POST; an empty one is not called. Only BeforeInstall is a question: if
// its answer is no, or does not come, the host powers off and its disk is not
// written. The failure of the others stops nothing.
type Host struct {
	Name          string // host name
	Disk          string // name under /dev/disk/by-id of the disk to be written
	PowerOff      bool   // when installed; else it reboots
	BeforeInstall string // asked before the disk is written
	AfterInstall  string // called when the installer is done
	Booted        string // called at each boot of the installed system, when its network is up

	Handoff map[string]any // the hand-off driver's own keys
	Config  map[string]any // the order's additions; see [CheckConfig]
}

// header is the first line without which user-data is dropped in silence.
const header = "#cloud-config\n"

// maxUserData is the size above which installers do not read user-data.
const maxUserData = 1 << 20

// Inert is user-data that changes nothing. It is served when a host may no
// longer have its own: no answer at all would make it wait and ask again.
func Inert() []byte { return []byte(header + "{}\n") }

// UserData renders one host's user-data as a cloud-config document, in the
// subset of YAML that is JSON: written so, no reader takes a host name for a
// number or "on" for true. The order's config is laid under, then the hand-off's
// keys, then ours: maps are merged, lists follow each other, of single values
// the last stays.
func UserData(h Host) ([]byte, error) {
	if err := errors.Join(h.check(), CheckConfig(h.Config)); err != nil {
		return nil, fmt.Errorf("render user-data for %s: %w", h.Name, err)
	}
	doc := map[string]any{}
	for _, layer := range []map[string]any{h.Config, h.Handoff, h.ours()} {
		if err := merge(doc, layer, ""); err != nil {
			return nil, fmt.Errorf("render user-data for %s: %w", h.Name, err)
		}
	}
	var out bytes.Buffer
	out.WriteString(header)
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("render user-data for %s: %w", h.Name, err)
	}
	if out.Len() > maxUserData {
		return nil, fmt.Errorf("render user-data for %s: it has %d bytes, installers read at most %d", h.Name, out.Len(), maxUserData)
	}
	return out.Bytes(), nil
}

// CheckConfig refuses an order's config that sets what muster decides for each
// host, or that gives a stage in a shape that cannot be added to.
func CheckConfig(config map[string]any) error {
	if _, ok := config["hostname"]; ok {
		return errors.New("config: hostname comes from the manifest's column name; leave it out")
	}
	if install, ok := config["install"].(map[string]any); ok {
		for _, key := range []string{"auto", "device", "poweroff", "reboot"} {
			if _, ok := install[key]; ok {
				return fmt.Errorf("config: muster decides install.%s for each host; leave it out", key)
			}
		}
	}
	probe := Host{Name: "probe", BeforeInstall: "http://probe", AfterInstall: "http://probe", Booted: "http://probe"}
	doc := map[string]any{}
	return errors.Join(merge(doc, config, ""), merge(doc, probe.ours(), ""))
}

func (h Host) check() error {
	if err := checkLetters(h.Name, "abcdefghijklmnopqrstuvwxyz0123456789-"); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	// What udev leaves in such names (util_replace_chars), less the backslash.
	if err := checkLetters(h.Disk, strings.Replace(letters, "/", "", 1)+"#+=@"+"_"); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	for name, url := range map[string]string{"before-install": h.BeforeInstall, "after-install": h.AfterInstall, "booted": h.Booted} {
		if url == "" {
			continue
		}
		if err := checkURL(name, url); err != nil {
			return err
		}
	}
	return nil
}

// The calls to muster. A server that restarts refuses connections for a moment,
// and curl by itself takes that for an answer. The installer asks again for five
// minutes, since a lost "written" would have the host installed twice. The
// installed system does for half a minute only: it calls at every boot, also
// where muster is long gone, and its agent's registration proves as much.
const (
	installerCall = "curl -fsS -m 10 --retry 60 --retry-delay 5 --retry-connrefused --retry-max-time 300 -X POST "
	systemCall    = "curl -fsS -m 10 --retry 6 --retry-delay 5 --retry-connrefused --retry-max-time 30 -X POST "
)

// refusal is what an installer does that may not write. Nothing after poweroff
// must run, so the shell waits for the end.
const refusal = "{ echo 'muster does not let this installation write to the disk; powering off'; poweroff -f; sleep 600; }"

// ours is what muster itself puts into user-data. reboot and poweroff are both
// said, because installers differ in what they do when told nothing.
func (h Host) ours() map[string]any {
	stages := map[string]any{}
	add := func(stage, name, call, url, otherwise, condition string) {
		if url == "" {
			return
		}
		step := map[string]any{"name": name, "commands": []any{call + url + " || " + otherwise}}
		if condition != "" {
			step["if"] = condition
		}
		stages[stage] = []any{step}
	}
	// The first stage of the installer; before-install comes when the disk has
	// been partitioned.
	add("kairos-install.pre.before", "ask muster whether the disk may be written", installerCall, h.BeforeInstall, refusal, "")
	add("after-install", "tell muster that the installer is done", installerCall, h.AfterInstall, "true", "")
	add("network", "tell muster that the installed system is up", systemCall, h.Booted, "true", "[ ! -e /run/cos/live_mode ]")
	doc := map[string]any{
		"hostname": h.Name,
		"install": map[string]any{
			"auto":     true,
			"device":   "/dev/disk/by-id/" + h.Disk,
			"poweroff": h.PowerOff,
			"reboot":   !h.PowerOff,
		},
	}
	if len(stages) > 0 {
		doc["stages"] = stages
	}
	return doc
}

// merge lays a layer over a document. It copies what it takes, so that layers
// stay as they were. A null in the document gives way to anything.
func merge(doc, layer map[string]any, at string) error {
	for key, value := range layer {
		here, there := doc[key], value
		path := strings.TrimPrefix(at+"."+key, ".")
		switch there := there.(type) {
		case map[string]any:
			into, ok := here.(map[string]any)
			if here != nil && !ok {
				return fmt.Errorf("config: %s must be a map", path)
			}
			into = maps.Clone(into)
			if into == nil {
				into = map[string]any{}
			}
			if err := merge(into, there, path); err != nil {
				return err
			}
			doc[key] = into
		case []any:
			list, ok := here.([]any)
			if here != nil && !ok {
				return fmt.Errorf("config: %s must be a list", path)
			}
			doc[key] = append(append([]any(nil), list...), there...)
		default:
			doc[key] = there
		}
	}
	return nil
}
