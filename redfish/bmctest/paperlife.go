package bmctest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// installed is what an installation left on the disk.
type installed struct {
	config appliance
	from   string // where the configuration came from; empty for a medium
}

// appliance is what a paper host understands of its configuration.
type appliance struct {
	Install struct {
		Auto     bool `yaml:"auto"`
		PowerOff bool `yaml:"poweroff"`
		Reboot   bool `yaml:"reboot"`
	} `yaml:"install"`
	Callhome struct {
		URL   string `yaml:"url"`
		Token string `yaml:"token"`
	} `yaml:"callhome"`
	Hostname string `yaml:"hostname"`
	base     string // of its attempt's routes; empty if it names none
}

// attemptBase finds the root of an attempt's routes in a configuration.
var attemptBase = regexp.MustCompile(`(https?://[^\s"'\\]+)/step/writing`)

// configure lays a configuration over what is known; the last key wins.
func (a *appliance) configure(text []byte) error {
	if err := yaml.Unmarshal(text, a); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if m := attemptBase.FindSubmatch(text); m != nil {
		a.base = string(m[1])
	}
	return nil
}

// bootMedium reads the drive as firmware, boot loader and kernel would.
func (p *Paper) bootMedium(ctx context.Context, b Boot) (ending, error) {
	p.mu.Lock()
	m := p.medium
	p.mu.Unlock()
	if m == nil {
		return endStay, errors.New("the drive is empty")
	}
	if b.Legacy != p.opts.BIOS {
		return endStay, errors.New("the medium does not boot in this mode")
	}
	size, err := m.open(ctx)
	if err != nil {
		return endStay, err
	}
	d, err := readDisc(m.In(ctx), size)
	if err != nil {
		return endStay, fmt.Errorf("read the medium: %w", err)
	}
	p.tell("boots %s from the medium", d.volume)
	return p.kernel(ctx, d.cmdline, d.configs)
}

// script is what a paper host understands of a boot script.
var script = struct{ kernel, initrd *regexp.Regexp }{
	kernel: regexp.MustCompile(`(?m)^kernel (\S+) (.*?)(?: \|\| .*)?$`),
	initrd: regexp.MustCompile(`(?m)^initrd (?:--name \S+ )?(\S+)`),
}

// bootNetwork fetches a boot script and does what it says.
func (p *Paper) bootNetwork(ctx context.Context, from string) (ending, error) {
	if from == "" {
		return endStay, errors.New("nobody answers")
	}
	body, err := p.get(ctx, from)
	if err != nil {
		return endStay, err
	}
	kernel := script.kernel.FindSubmatch(body)
	if kernel == nil {
		return endStay, errors.New("the script boots no kernel")
	}
	files := []string{string(kernel[1])}
	for _, m := range script.initrd.FindAllSubmatch(body, -1) {
		files = append(files, string(m[1]))
	}
	if err := p.fetch(ctx, files...); err != nil {
		return endStay, err
	}
	p.tell("boots from the network")
	return p.kernel(ctx, string(kernel[2]), nil)
}

// kernel is a system that was started with a command line, and the
// configurations on the medium that it came from.
func (p *Paper) kernel(ctx context.Context, cmdline string, configs [][]byte) (ending, error) {
	words := map[string]string{}
	for word := range strings.FieldsSeq(cmdline) {
		key, value, _ := strings.Cut(word, "=")
		words[key] = value
	}
	if words["muster.server"] != "" {
		root := words["muster.server"] + "/scout/" + url.PathEscape(words["muster.host"]) + "/" + words["muster.token"]
		_, medium := words["muster.medium"]
		return p.scout(ctx, root, medium)
	}
	if live := strings.TrimPrefix(words["root"], "live:"); strings.HasPrefix(live, "http") {
		if err := p.fetch(ctx, live); err != nil {
			return endStay, err
		}
	}
	_, ordered := words["install-mode"]
	return p.install(ctx, words["config_url"], configs, ordered)
}

// install is the installer: it asks, writes and tells.
func (p *Paper) install(ctx context.Context, from string, configs [][]byte, ordered bool) (ending, error) {
	disk := &installed{from: from}
	if from != "" {
		fetched, err := p.configTwice(ctx, from)
		if err != nil {
			return endStay, err
		}
		configs = append(configs, fetched)
	}
	for _, c := range configs {
		if err := disk.config.configure(c); err != nil {
			return endStay, err
		}
	}
	c := disk.config
	if !c.Install.Auto && !ordered || len(configs) == 0 {
		p.tell("a system that installs nothing")
		return endStay, nil
	}
	if err := p.post(ctx, c.base, "/step/writing"); err != nil {
		p.tell("not allowed to write: %v", err)
		return endOff, nil
	}
	p.mu.Lock()
	p.disk = disk
	p.say("installed")
	p.mu.Unlock()
	if err := p.post(ctx, c.base, "/step/written"); err != nil {
		p.tell("cannot tell that it is written: %v", err)
	}
	switch {
	case c.Install.PowerOff:
		return endOff, nil
	case c.Install.Reboot:
		return endReboot, nil
	}
	return endStay, nil
}

// configTwice asks for the configuration as the recorded system does at each
// boot: once early and once when its network is up.
func (p *Paper) configTwice(ctx context.Context, from string) ([]byte, error) {
	if _, err := p.get(ctx, from); err != nil {
		return nil, err
	}
	return p.get(ctx, from)
}

// bootDisk is the installed system: it says that it is up, and registers once.
func (p *Paper) bootDisk(ctx context.Context) (ending, error) {
	p.mu.Lock()
	d := p.disk
	p.mu.Unlock()
	if d == nil {
		return endStay, errors.New("the disk is empty")
	}
	p.tell("boots from the disk")
	if err := d.refresh(ctx, p); err != nil {
		p.tell("no new configuration: %v", err)
	}
	for range 2 { // the recorded system's network stage runs twice
		if err := p.post(ctx, d.config.base, "/booted"); err != nil {
			p.tell("cannot call home: %v", err)
		}
	}
	if err := d.refresh(ctx, p); err != nil {
		p.tell("no new configuration: %v", err)
	}
	return endStay, p.register(ctx, d.config)
}

// refresh asks for the configuration, as an installed system does if it came
// from a URL; what comes changes nothing any more.
func (d *installed) refresh(ctx context.Context, p *Paper) error {
	if d.from == "" {
		return nil
	}
	_, err := p.get(ctx, d.from)
	return err
}

func (p *Paper) register(ctx context.Context, c appliance) error {
	if c.Callhome.URL == "" {
		return nil
	}
	id := p.opts.Identity
	var macs []string
	for _, n := range id.NICs {
		macs = append(macs, n.MAC)
	}
	claims := object{"serial": id.Serial, "uuid": id.UUID, "macs": macs, "hostname": c.Hostname, "agent": "muster-demo-agent/1"}
	if _, err := p.insist(ctx, http.MethodPost, c.Callhome.URL, claims, c.Callhome.Token); err != nil {
		p.tell("not registered: %v", err)
		return nil
	}
	p.tell("registered")
	return nil
}
