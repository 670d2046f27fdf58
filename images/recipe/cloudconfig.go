package recipe

import (
	"fmt"
	"slices"
	"strings"
)

// yamlType is the media type of user-data.
const yamlType = "text/cloud-config"

// Inert is user-data that changes nothing. It is served when a host may no
// longer have its own: no answer at all would make it wait and ask again.
func Inert() []byte { return []byte(header + "{}\n") }

// cloudConfig writes the user-data of a Kairos or Palette installer, which
// stays in the installed system.
func (w writer) cloudConfig() (Rendered, error) {
	doc, err := w.document("#cloud-config", "#kairos-config", "#node-config")
	if err != nil {
		return Rendered{}, err
	}
	ours, err := w.ours("cloud-config.yaml")
	if err != nil {
		return Rendered{}, err
	}
	for _, layer := range []map[string]any{w.values.Handoff, ours} {
		if err := merge(doc, layer, ""); err != nil {
			return Rendered{}, fmt.Errorf("config: %w", err)
		}
	}
	if err := merge(doc, w.addressStage(), ""); err != nil {
		return Rendered{}, fmt.Errorf("config: %w", err)
	}
	askFirst(doc, ours)
	content, err := encode(header, doc)
	if err != nil {
		return Rendered{}, err
	}
	return w.given(content, Document{MainDocument, yamlType, content})
}

// given is what a host gets by netboot and from a medium: its documents, and the
// kernel arguments beside the recipe's. file is what lies on the medium.
func (w writer) given(file []byte, documents ...Document) (Rendered, error) {
	args, err := w.further()
	if err != nil {
		return Rendered{}, err
	}
	out := Rendered{Documents: documents, Args: args}
	out.Medium, err = w.medium(file, args)
	return out, err
}

// addressStage has the installed system keep its fixed address. The stage runs
// at each boot before the network is set up.
func (w writer) addressStage() map[string]any {
	var files []any
	for _, f := range w.systemAddress() {
		files = append(files, map[string]any{"path": f.path, "permissions": f.mode, "owner": 0, "group": 0, "content": f.content})
	}
	if len(files) == 0 {
		return nil
	}
	step := map[string]any{"name": "keep the address that the manifest gives", "files": files}
	return map[string]any{"stages": map[string]any{"initramfs": []any{step}}}
}

// asking is the first stage of the installer.
const asking = "kairos-install.pre.before"

// askFirst puts muster's question before what an order does in the same stage:
// that may be to wipe a disk.
func askFirst(doc, ours map[string]any) {
	stages, _ := doc["stages"].(map[string]any)
	mine, _ := ours["stages"].(map[string]any)
	question, ok := mine[asking].([]any)
	if !ok {
		return
	}
	all := stages[asking].([]any) // merge has put the question last
	stages[asking] = slices.Concat(question, all[:len(all)-len(question)])
}

// medium is what makes an ISO the host's own: its configuration as a file, and
// the arguments that name it.
func (w writer) medium(content []byte, further []string) ([]Change, error) {
	if w.recipe.Form != ISO {
		return nil, nil
	}
	var changes []Change
	if w.recipe.Media.File != "" {
		changes = append(changes, Change{Path: w.recipe.Media.File, Content: content})
	}
	args, err := w.mediaArgs()
	if err != nil {
		return nil, err
	}
	change := Change{Args: append(args, further...)}
	if hasAddress(further) {
		change.Drop = []string{strings.TrimSuffix(addressArg, "=")}
	}
	if len(change.Args) > 0 {
		changes = append(changes, change)
	}
	return changes, nil
}

// mediaArgs are the recipe's arguments of a medium, filled in.
func (w writer) mediaArgs() ([]string, error) {
	v := w.values
	var args []string
	for _, template := range w.recipe.Media.Cmdline {
		arg, err := w.recipe.fill(template, BootURLs{Config: v.URL.Config, Seed: v.URL.Seed, Host: v.Host.ID, Disk: v.Disk.ByID, Label: v.Label})
		if err != nil {
			return nil, fmt.Errorf("kernel argument %s: %w", template, err)
		}
		args = append(args, arg)
	}
	return args, nil
}
