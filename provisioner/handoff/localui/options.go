package localui

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/stylus"
)

// options are what an order says beside the driver's name.
type options struct {
	User         string `json:"user"`          // OS user that logs in; defaultUser
	Password     string `json:"password"`      // name of the order's secret that is its password
	Port         int    `json:"port"`          // of the local API; defaultPort
	AgentVersion string `json:"agent_version"` // that the host must have; empty: any
	Content      bundle `json:"content"`       // content bundle that the host is given
	Definition   bundle `json:"definition"`    // cluster definition that it is given
	Link         link   `json:"link"`          // of the order's hosts into one group
	OtherKeys    string `json:"other_keys"`    // of stylus in the order's config: refused (default) or allowed
}

// bundle is a file in the site's directory of bundles, with its signature where
// the image holds a public key.
type bundle struct {
	File      string `json:"file"`
	Signature string `json:"signature"`
}

// link says that all hosts of the order are linked.
type link struct {
	Leader string `json:"leader"` // name or serial of the row that leads
}

const (
	defaultUser = "kairos" // every Kairos image has it
	defaultPort = 5080
)

var (
	userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`) // as useradd takes it
	fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
)

// read decodes and checks an order's options.
func read(raw map[string]any) (options, error) {
	var o options
	if err := handoff.Decode(raw, &o); err != nil {
		return o, err
	}
	if o.User == "" {
		o.User = defaultUser
	}
	if o.Port == 0 {
		o.Port = defaultPort
	}
	return o, o.check()
}

func (o options) check() error {
	switch {
	case !userName.MatchString(o.User):
		return fmt.Errorf("handoff.user: %.40q is no name of a user: use a to z, digits, _ and -, a letter first", o.User)
	case o.Password == "":
		return fmt.Errorf("handoff.password: name the order's secret that is the password of user %s, for example password: ui_password", o.User)
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("handoff.port: %d is no TCP port", o.Port)
	case o.OtherKeys != "" && o.OtherKeys != stylus.Refused && o.OtherKeys != stylus.Allowed:
		return fmt.Errorf("handoff.other_keys: %.40q is neither %s nor %s", o.OtherKeys, stylus.Refused, stylus.Allowed)
	}
	for key, name := range map[string]string{
		"content.file": o.Content.File, "content.signature": o.Content.Signature,
		"definition.file": o.Definition.File, "definition.signature": o.Definition.Signature,
	} {
		if name != "" && !fileName.MatchString(name) {
			return fmt.Errorf("handoff.%s: %.60q is no file name: name a file in the directory of bundles, without a path", key, name)
		}
	}
	return o.checkKinds()
}

// checkKinds refuses files of another kind than the host takes.
func (o options) checkKinds() error {
	switch {
	case o.Content.File == "" && o.Content.Signature != "", o.Definition.File == "" && o.Definition.Signature != "":
		return fmt.Errorf("handoff: a signature without its file cannot be uploaded; name both")
	case o.Content.File != "" && !strings.HasSuffix(o.Content.File, ".tar.zst"):
		return fmt.Errorf("handoff.content.file: %s is no content bundle: its name ends in .tar.zst", o.Content.File)
	case o.Definition.File != "" && path.Ext(o.Definition.File) != ".tgz":
		return fmt.Errorf("handoff.definition.file: %s is no cluster definition: its name ends in .tgz", o.Definition.File)
	}
	return nil
}

// files are those that the order names.
func (o options) files() []string {
	var names []string
	for _, name := range []string{o.Content.File, o.Content.Signature, o.Definition.File, o.Definition.Signature} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}
