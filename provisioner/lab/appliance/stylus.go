package main

import (
	"cmp"
	"context"

	"fmt"
	"net"
	"strings"

	"github.com/GehirnInc/crypt/sha512_crypt"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner/handoff/localui/localuitest"
)

// stylus is the part of the Palette agent's configuration that the stand-in
// obeys.
type stylus struct {
	ManagementMode  string `yaml:"managementMode"` // central, or local
	EnableMultiNode bool   `yaml:"enableMultiNode"`
	LocalUI         struct {
		Port int `yaml:"port"`
	} `yaml:"localUI"`
	Site stylusSite `yaml:"site"`
}

// stylusSite is who the host is, and what it registers with.
type stylusSite struct {
	PaletteEndpoint    string         `yaml:"paletteEndpoint"`
	EdgeHostToken      string         `yaml:"edgeHostToken"`
	Name               string         `yaml:"name"`
	ProjectName        string         `yaml:"projectName"`
	ProjectUID         string         `yaml:"projectUid"`
	InsecureSkipVerify bool           `yaml:"insecureSkipVerify"`
	CACerts            []string       `yaml:"caCerts"` // base64 of PEM
	Tags               map[string]any `yaml:"tags"`
}

// agentVersion is what the stand-in says that it is.
const agentVersion = "4.9.7"

// central is how a host says that Palette manages it.
const central = "central"

// localPort is where the local API is served unless the configuration names
// another port.
const localPort = 5080

// agents runs all agents that the configuration asks for.
func agents(ctx context.Context, c config, say func(string, ...any)) error {
	g, ctx := errgroup.WithContext(ctx)
	if c.Callhome != nil || c.Stylus == nil {
		g.Go(func() error { return agent(ctx, c.Callhome, "/oem/.demo-agent", say) })
	}
	if c.Stylus != nil {
		g.Go(func() error { return c.edge(ctx, say) })
	}
	return g.Wait()
}

// edge is the stand-in of the Palette agent. The local API is there in both
// modes.
func (c config) edge(ctx context.Context, say func(string, ...any)) error {
	m := thisMachine("/")
	id := cmp.Or(c.Stylus.Site.Name, "edge-"+strings.ToLower(strings.ReplaceAll(m.uuid, "-", "")))
	mode := cmp.Or(c.Stylus.ManagementMode, central)
	say("edge host %s, managementMode %s", id, mode)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.serveLocal(ctx, m.described(id, mode, c.Stylus.EnableMultiNode), say) })
	if mode == central {
		g.Go(func() error { return keepRegistered(ctx, c.Stylus.Site, m.record(id, c.Stylus.Site), say) })
	}
	return g.Wait()
}

// described is this host as its local API shows it.
func (m machine) described(id, mode string, multiNode bool) localuitest.Host {
	h := localuitest.Host{
		ID: id, Name: id, Mode: mode, Agent: agentVersion, MultiNode: multiNode,
		Cores: m.cores, MemoryMB: m.memoryMB, NICs: m.nics,
	}
	for _, d := range m.disks {
		h.Disks = append(h.Disks, localuitest.Disk{GB: d.GB, Vendor: d.Vendor, Controller: d.Controller})
	}
	return h
}

func (c config) serveLocal(ctx context.Context, h localuitest.Host, say func(string, ...any)) error {
	server, err := localuitest.New(localuitest.Options{Host: h, Login: c.login, CertFile: "/oem/.local-ui.pem"})
	if err != nil {
		return err
	}
	port := c.Stylus.LocalUI.Port
	if port == 0 {
		port = localPort
	}
	l, err := net.Listen("tcp", fmt.Sprint(":", port))
	if err != nil {
		return err
	}
	say("the local API is at port %d", port)
	return server.Serve(ctx, l)
}

// login tells whether a stage made a user with that password.
func (c config) login(name, password string) bool {
	for _, steps := range c.Stages {
		for _, s := range steps {
			if u, there := s.Users[name]; there && u.takes(password) {
				return true
			}
		}
	}
	return false
}

// osUser is a user that a stage makes.
type osUser struct {
	Password string `yaml:"passwd"`
}

func (u osUser) takes(password string) bool {
	if password == "" || u.Password == "" {
		return false
	}
	if !strings.HasPrefix(u.Password, "$") {
		return u.Password == password // yip takes passwords in clear too
	}
	return sha512_crypt.New().Verify(u.Password, []byte(password)) == nil
}
