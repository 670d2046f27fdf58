// Package site is a whole muster site in a lab: the built server in the lab's
// namespace, with the discovery ramdisk and the demo appliance in its catalog,
// and what tests, demo and bench ask of it.
//
// It serves those three and nothing else imports it. The server is the built
// program in a process of its own, spoken to as people do, by its CLI and its
// socket; nothing here reaches into it. Start at [Open].
package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
)

// Network is one network of the site.
type Network struct {
	lab.Network
	Discover     bool // unlisted hosts get the scout
	LoaderAlways bool // our iPXE even for clients that run one
	DHCPOff      bool // muster answers no DHCP: hosts come by their BMCs
}

// Options says what a site is made of.
type Options struct {
	Programs Programs
	Networks []Network
	// Deadlines by phase, as the configuration writes them; nil means defaults.
	Deadlines map[string]string
	// Config is further keys of the configuration; empty means none.
	Config string
	// Out gets the commands that are run and what they print; nil means nobody.
	Out io.Writer
}

// Site is a server and its lab. Its methods may be called from several
// goroutines, except Kill and Start.
type Site struct {
	Lab    *lab.Lab
	Client *client.Client
	opts   Options
	dir    string
	socket string

	mu     sync.Mutex
	server *exec.Cmd
	gone   chan struct{} // closed when the server's process has ended
}

// socketName is short, as its path must be: unix sockets take 107 bytes.
const socketName = "muster.sock"

// Open makes the lab's networks into a site with a running server and an
// empty store. It ends with the lab.
func Open(ctx context.Context, l *lab.Lab, o Options) (*Site, error) {
	if o.Out == nil {
		o.Out = io.Discard
	}
	s := &Site{Lab: l, opts: o, dir: l.Dir(), socket: filepath.Join(l.Dir(), socketName)}
	c, err := client.New(s.socket)
	if err != nil {
		return nil, err
	}
	s.Client = c
	if err := os.WriteFile(s.configPath(), []byte(s.config()), 0o644); err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// Networks returns the lab's part of the site's networks.
func Networks(ns []Network) []lab.Network {
	var out []lab.Network
	for _, n := range ns {
		out = append(out, n.Network)
	}
	return out
}

func (s *Site) configPath() string { return filepath.Join(s.dir, "muster.yaml") }

// DataDir is where the server keeps everything.
func (s *Site) DataDir() string { return filepath.Join(s.dir, "data") }

// LogPath is the file that has everything the server printed, over its restarts.
func (s *Site) LogPath() string { return filepath.Join(s.dir, "muster.log") }

// config is the server's configuration file.
func (s *Site) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "data: %s\nsocket: %s\nlog: debug\n%snetworks:\n", s.DataDir(), s.socket, s.opts.Config)
	for _, n := range s.opts.Networks {
		if n.DHCPOff {
			fmt.Fprintf(&b, "- interface: %s\n  dhcp: off\n", n.Name)
			continue
		}
		base := n.Address.Addr().As4()
		fmt.Fprintf(&b, "- interface: %s\n  dhcp: full\n  pool: %d.%d.%d.100-%d.%d.%d.200\n", n.Name, base[0], base[1], base[2], base[0], base[1], base[2])
		fmt.Fprintf(&b, "  unknown: %s\n  loader: %s\n", choose(n.Discover, "discover", "silent"), choose(n.LoaderAlways, "always", "auto"))
	}
	if len(s.opts.Deadlines) > 0 {
		b.WriteString("deadlines:\n")
		for phase, d := range s.opts.Deadlines {
			fmt.Fprintf(&b, "  %s: %s\n", phase, d)
		}
	}
	return b.String()
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// Start starts the server and returns when it answers.
func (s *Site) Start(ctx context.Context) error {
	log, err := os.OpenFile(s.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// Not bound to ctx: the server runs until it is killed or the lab closes.
	cmd := s.Lab.Server().Command(context.Background(), s.opts.Programs.Muster, "serve", "--config", s.configPath())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start muster: %w", err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); _ = cmd.Wait() }()
	s.mu.Lock()
	s.server, s.gone = cmd, gone
	s.mu.Unlock()
	return s.untilItAnswers(ctx, gone)
}

func (s *Site) untilItAnswers(ctx context.Context, gone <-chan struct{}) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := s.Client.Health(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for muster to answer: %w\n%s", ctx.Err(), s.LastWords())
		case <-gone:
			return fmt.Errorf("muster ended:\n%s", s.LastWords())
		case <-tick.C:
		}
	}
}

// Kill takes the server away with SIGKILL, as a power cut would.
func (s *Site) Kill() error { return s.end((*os.Process).Kill) }

// Stop asks the server to end and waits until it has.
func (s *Site) Stop() error {
	return s.end(func(p *os.Process) error { return p.Signal(os.Interrupt) })
}

func (s *Site) end(how func(*os.Process) error) error {
	s.mu.Lock()
	server, gone := s.server, s.gone
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	if err := how(server.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end muster: %w", err)
	}
	<-gone
	return nil
}

// PID is the server's process, for those who measure it.
func (s *Site) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server.Process.Pid
}

// lastWords is how much of the server's log a failure shows.
const lastWords = 4000

// LastWords is the end of what the server printed.
func (s *Site) LastWords() string {
	data, err := os.ReadFile(s.LogPath())
	if err != nil {
		return err.Error()
	}
	if len(data) > lastWords {
		data = data[len(data)-lastWords:]
	}
	return string(data)
}

// Muster runs one command of the CLI against the server and returns what it
// printed to standard output.
func (s *Site) Muster(ctx context.Context, args ...string) (string, error) {
	return s.musterIn(ctx, "", args...)
}

// musterIn runs it in a directory; empty means the present one.
func (s *Site) musterIn(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.opts.Programs.Muster, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MUSTER_SERVER="+s.socket)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	fmt.Fprintf(s.opts.Out, "$ muster %s\n%s%s", strings.Join(args, " "), out, errs.String())
	if err != nil {
		return string(out), fmt.Errorf("muster %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out), nil
}

// Equip puts the discovery ramdisk and the demo appliance into the catalog.
func (s *Site) Equip(ctx context.Context) error {
	deb, err := lab.KernelDeb()
	if err != nil {
		return err
	}
	shim, grub, err := lab.Loaders()
	if err != nil {
		return err
	}
	iso, err := lab.Appliance()
	if err != nil {
		return err
	}
	if _, err := s.Muster(ctx, "ramdisk", "build", "--kernel", deb, "--scout", s.opts.Programs.Scout, "--shim", shim, "--grub", grub); err != nil {
		return err
	}
	_, err = s.Muster(ctx, "image", "add", iso, "--name", ApplianceImage)
	return err
}

// Scout is the version of the scout that the site's discovery ramdisk has.
func (s *Site) Scout(ctx context.Context) (string, error) {
	images, err := s.Client.Images(ctx)
	if err != nil {
		return "", err
	}
	for _, i := range images {
		if v := i.Version["scout"]; v != "" {
			return v, nil
		}
	}
	return "", errors.New("the site has no discovery ramdisk: call Equip first")
}

// ApplianceImage is the name of the demo appliance in the catalog.
const ApplianceImage = "appliance"

// Order writes an order and its manifest and imports them.
func (s *Site) Order(ctx context.Context, order, manifest string) error {
	dir, err := os.MkdirTemp(s.dir, "order")
	if err != nil {
		return err
	}
	yaml, csv := filepath.Join(dir, "order.yaml"), filepath.Join(dir, "hosts.csv")
	if err := errors.Join(os.WriteFile(yaml, []byte(order), 0o644), os.WriteFile(csv, []byte(manifest), 0o644)); err != nil {
		return err
	}
	_, err = s.musterIn(ctx, dir, "order", "import", filepath.Base(yaml), filepath.Base(csv))
	return err
}

// Await waits until the host is in one of the phases and returns it. A host
// that failed or was quarantined meanwhile, and was not asked for so, is an
// error with its reason.
func (s *Site) Await(ctx context.Context, ref string, phases ...string) (v1.Host, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last v1.Host
	for {
		h, err := s.Client.Host(ctx, ref)
		if err == nil {
			last = h
			if arrived, err := phaseIn(h, phases); arrived {
				return h, err
			}
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("host %s is %s (%s), not %s: %w", ref, last.Phase, last.Why, strings.Join(phases, " or "), ctx.Err())
		case <-tick.C:
		}
	}
}

func phaseIn(h v1.Host, phases []string) (bool, error) {
	for _, p := range phases {
		if h.Phase == p {
			return true, nil
		}
	}
	if h.Phase == "quarantined" || h.Phase == "failed" {
		return true, fmt.Errorf("host %s is %s: %s", h.ID, h.Phase, h.Why)
	}
	return false, nil
}

// Socket is the path of the server's control socket.
func (s *Site) Socket() string { return s.socket }

// Programs are those that the site runs.
func (s *Site) Programs() Programs { return s.opts.Programs }

// RawHosts is the list of hosts as GET /v1/hosts gave it, byte for byte and
// decoded.
func (s *Site) RawHosts(ctx context.Context) (json.RawMessage, []v1.Host, error) {
	raw, err := s.get(ctx, "/v1/hosts")
	if err != nil {
		return nil, nil, err
	}
	var hosts []v1.Host
	if err := json.Unmarshal(raw, &hosts); err != nil {
		return nil, nil, fmt.Errorf("list hosts: %w", err)
	}
	return raw, hosts, nil
}

// get is one GET of the people's API, as curl --unix-socket would do it.
func (s *Site) get(ctx context.Context, path string) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.socket)
	}
	c := http.Client{Transport: &http.Transport{DialContext: dial}}
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://muster"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
