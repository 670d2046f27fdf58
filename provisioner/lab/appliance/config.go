package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// config is the part of a merged configuration that the appliance understands;
// all other keys are kept and left alone.
type config struct {
	Hostname string            `yaml:"hostname"`
	Install  *installConfig    `yaml:"install"`
	Stages   map[string][]step `yaml:"stages"`
	Callhome *callhome         `yaml:"callhome"`
	Stylus   *stylus           `yaml:"stylus"`
}

// installConfig says whether, where to and with which end to install.
type installConfig struct {
	Auto     *bool  `yaml:"auto"`
	Device   string `yaml:"device"`
	Poweroff bool   `yaml:"poweroff"`
	Reboot   bool   `yaml:"reboot"`
}

// callhome is where the agent of the installed system registers.
type callhome struct {
	URL   string `yaml:"url"`
	Token string `yaml:"token"`
}

// collection is what all sources together gave.
type collection struct {
	config  config
	merged  map[string]any // everything, also what config does not know
	sources []string       // the files and URLs that were taken, in order
}

func (c collection) String() string {
	if len(c.sources) == 0 {
		return "no configuration was found"
	}
	return "configuration from " + strings.Join(c.sources, ", ")
}

// directories are searched in this order, a later one wins.
var directories = []string{"/run/initramfs/live", "/etc/kairos", "/usr/local/cloud-config", "/oem"}

// headers are the first lines that mark a configuration. A file without one is
// dropped without a word, as the original does.
var headers = []string{"#cloud-config", "#kairos-config", "#node-config"}

// collector gathers the configuration of a running appliance.
type collector struct {
	root    string // in front of every directory; empty but in tests
	cmdline []string
	fetch   func(ctx context.Context, url string) ([]byte, error) // nil without a network
	say     func(format string, args ...any)
}

// collect reads all files, then what the kernel's command line names. A source
// that cannot be read is said and left out.
func (c collector) collect(ctx context.Context) (collection, error) {
	var out collection
	for _, dir := range directories {
		for _, path := range yamlFiles(c.root + dir) {
			body, err := os.ReadFile(path)
			if err != nil {
				c.say("%v", err)
				continue
			}
			c.take(ctx, &out, strings.TrimPrefix(path, c.root), body)
		}
	}
	if url := parameter(c.cmdline, "config_url"); url != "" {
		out.merged = merge(out.merged, map[string]any{"config_url": url})
		c.follow(ctx, &out, url)
	}
	return out, out.decode()
}

// yamlFiles lists the *.yaml files below a directory in lexical order; none if
// there is no such directory.
func yamlFiles(dir string) []string {
	var paths []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".yaml") {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

// take lays a source over what there is, and over that what its own config_url
// leads to.
func (c collector) take(ctx context.Context, out *collection, name string, body []byte) {
	values, err := parse(body)
	if errors.Is(err, errNoHeader) {
		return
	}
	if err != nil {
		c.say("%s is left out: %v", name, err)
		return
	}
	out.merged = merge(out.merged, values)
	out.sources = append(out.sources, name)
	if url, ok := values["config_url"].(string); ok {
		c.follow(ctx, out, url)
	}
}

// follow fetches a configuration, once per collection.
func (c collector) follow(ctx context.Context, out *collection, url string) {
	if c.fetch == nil || slices.Contains(out.sources, url) {
		return
	}
	body, err := c.fetch(ctx, url)
	if err != nil {
		c.say("going on without %s: %v", url, err)
		return
	}
	c.take(ctx, out, url, body)
}

var errNoHeader = errors.New("the first line is no configuration header")

// parse reads one source.
func parse(body []byte) (map[string]any, error) {
	first, _, _ := strings.Cut(string(body), "\n")
	if !slices.Contains(headers, strings.TrimSpace(first)) {
		return nil, errNoHeader
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(body, &values); err != nil {
		return nil, err
	}
	return values, nil
}

// decode reads from the merged values what the appliance understands.
func (c *collection) decode() error {
	text, err := yaml.Marshal(c.merged)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, &c.config); err != nil {
		return fmt.Errorf("read the merged configuration: %w", err)
	}
	return nil
}

// file is the configuration as it is kept on the installed system.
func (c collection) file() ([]byte, error) {
	text, err := yaml.Marshal(c.merged)
	if err != nil {
		return nil, err
	}
	return append([]byte(headers[0]+"\n"), text...), nil
}

// parameter is the value of the last name=value on the kernel's command line.
func parameter(cmdline []string, name string) string {
	value := ""
	for _, word := range cmdline {
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			value = v
		}
	}
	return value
}
