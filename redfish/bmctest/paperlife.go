package bmctest

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed" // the recorded report
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// recordedReport is what a lab host's scout reported; see testdata/README.md.
//
//go:embed recorded/report.json
var recordedReport []byte

// anyCertificate is a client of a system that knows no roots.
func anyCertificate() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

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

// instruction is what a paper scout understands of what it is told.
type instruction struct {
	Do      string `json:"do"`
	Attempt string `json:"attempt"`
	Again   int    `json:"again"`
	Netboot *struct {
		Kernel  string   `json:"kernel"`
		Initrds []string `json:"initrds"`
		Cmdline string   `json:"cmdline"`
	} `json:"netboot"`
}

// scout steps its clock and then does what it is told.
func (p *Paper) scout(ctx context.Context, root string, medium bool) (ending, error) {
	p.tell("is a scout")
	for range 2 { // once to learn the time, once to see that it is set
		if _, err := p.insist(ctx, http.MethodGet, root+"/time", nil, ""); err != nil {
			return endStay, err
		}
	}
	for ctx.Err() == nil {
		body, err := p.insist(ctx, http.MethodGet, root+"/instruction?version="+url.QueryEscape(p.opts.Version), nil, "")
		if err != nil {
			return endStay, err
		}
		var i instruction
		if err := json.Unmarshal(body, &i); err != nil {
			return endStay, err
		}
		end, over, err := p.obey(ctx, root, i, medium)
		if over || err != nil {
			return end, err
		}
		wait(ctx, p.opts.Second)
	}
	return endStay, nil
}

// obey follows one instruction; over ends the scout.
func (p *Paper) obey(ctx context.Context, root string, i instruction, medium bool) (end ending, over bool, err error) {
	switch i.Do {
	case "look", "verify":
		report, err := p.report(i.Do == "verify", medium)
		if err == nil {
			_, err = p.insist(ctx, http.MethodPost, root+"/report?attempt="+url.QueryEscape(i.Attempt), report, "")
		}
		return endStay, false, err
	case "install":
		end, err := p.kexec(ctx, root, i)
		return end, true, err
	case "reboot":
		return endReboot, true, nil
	case "poweroff":
		return endOff, true, nil
	}
	wait(ctx, time.Duration(i.Again)*p.opts.Second)
	return endStay, false, nil
}

func (p *Paper) kexec(ctx context.Context, root string, i instruction) (ending, error) {
	if i.Netboot == nil {
		return endReboot, nil
	}
	if err := p.fetch(ctx, append([]string{i.Netboot.Kernel}, i.Netboot.Initrds...)...); err != nil {
		return endStay, err
	}
	step := object{"attempt": i.Attempt, "stage": "kexec", "detail": "the scout starts the installer"}
	if _, err := p.insist(ctx, http.MethodPost, root+"/progress", step, ""); err != nil {
		return endStay, err
	}
	return p.kernel(ctx, i.Netboot.Cmdline, nil)
}

// report is the recorded report with this host's identity in it, and whether its
// scout came from a medium.
func (p *Paper) report(contents, medium bool) (object, error) {
	var r object
	if err := json.Unmarshal(recordedReport, &r); err != nil {
		return nil, fmt.Errorf("read the recorded report: %w", err)
	}
	id := p.opts.Identity
	r["version"], r["at"] = p.opts.Version, time.Now().UTC().Format(time.RFC3339Nano)
	r["system"] = object{"manufacturer": id.Manufacturer, "product": id.Product, "serial": id.Serial, "sku": id.SKU, "uuid": id.UUID}
	r["board"] = object{"manufacturer": id.Manufacturer, "serial": id.BoardSerial}
	if firmware, ok := r["firmware"].(map[string]any); ok {
		if medium {
			firmware["medium"] = true
		}
		if p.opts.BIOS {
			firmware["mode"] = "bios"
		} else {
			firmware["mode"] = "uefi"
		}
	}
	memory := 0
	r["dimms"] = each(r["dimms"], id.DIMMs, func(d DIMM, _ int) object {
		memory += d.MiB << 20
		return object{"slot": d.Slot, "size": d.MiB << 20, "serial": d.Serial}
	})
	r["memory"] = memory
	r["cpus"] = each(r["cpus"], id.CPUs, func(c CPU, i int) object {
		return object{"slot": fmt.Sprintf("CPU %d", i), "model": c.Model, "cores": c.Cores, "threads": c.Threads}
	})
	r["nics"] = each(r["nics"], id.NICs, func(n NIC, i int) object {
		return object{"name": fmt.Sprintf("eth%d", i), "mac": n.MAC, "booted": i == 0}
	})
	r["disks"] = each(r["disks"], id.Disks, func(d Disk, i int) object { return paperDisk(d, i, contents) })
	return r, nil
}

func paperDisk(d Disk, i int, contents bool) object {
	o := object{
		"name": fmt.Sprintf("nvme%dn1", i), "model": d.Model, "serial": d.Serial, "size": d.Bytes, "rotational": d.Rotational,
		"by_id": []string{"nvme-" + strings.ReplaceAll(d.Model, " ", "_") + "_" + d.Serial}, "wwid": "nvme." + d.Serial, "signatures": nil,
	}
	if contents {
		o["signatures"] = []string{}
	}
	return o
}

// each makes a list of parts in the form of the recorded list's first one.
func each[T any](recorded any, parts []T, f func(T, int) object) []object {
	var form object
	if list, ok := recorded.([]any); ok && len(list) > 0 {
		form, _ = list[0].(object)
	}
	out := []object{}
	for i, part := range parts {
		o := maps.Clone(form)
		maps.Copy(o, f(part, i))
		out = append(out, o)
	}
	return out
}

// fetch downloads files and drops them.
func (p *Paper) fetch(ctx context.Context, urls ...string) error {
	for _, u := range urls {
		if _, _, err := p.call(ctx, http.MethodGet, u, nil, "", io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// maxAnswer bounds what is kept of an answer.
const maxAnswer = 1 << 20

func (p *Paper) get(ctx context.Context, u string) ([]byte, error) {
	var b bytes.Buffer
	_, _, err := p.call(ctx, http.MethodGet, u, nil, "", &b)
	return b.Bytes(), err
}

// post tells the attempt's route; a system without one tells nobody.
func (p *Paper) post(ctx context.Context, base, route string) error {
	if base == "" {
		return nil
	}
	_, err := p.insist(ctx, http.MethodPost, base+route, nil, "")
	return err
}

// refusals are answers that no repetition changes.
var refusals = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone}

// insist repeats a call until it is answered for good.
func (p *Paper) insist(ctx context.Context, method, u string, body object, token string) ([]byte, error) {
	for {
		var b bytes.Buffer
		status, answered, err := p.call(ctx, method, u, body, token, &b)
		if err == nil || ctx.Err() != nil || answered && slices.Contains(refusals, status) {
			return b.Bytes(), err
		}
		wait(ctx, p.opts.Second)
	}
}

// call makes one request; an answer that is none of 2xx is an error.
func (p *Paper) call(ctx context.Context, method, u string, body object, token string, to io.Writer) (status int, answered bool, err error) {
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, false, err
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, u, data)
	if err != nil {
		return 0, false, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.opts.Client.Do(r)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	from := io.Reader(resp.Body)
	if to != io.Discard {
		from = io.LimitReader(from, maxAnswer)
	}
	if _, err := io.Copy(to, from); err != nil {
		return resp.StatusCode, false, err
	}
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, true, fmt.Errorf("%s %s: %s", method, u, resp.Status)
	}
	return resp.StatusCode, true, nil
}
