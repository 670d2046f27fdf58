package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner/handoff/localui/localuitest"
)

// signOfLife is how often a registered agent says that it is there.
const signOfLife = 30 * time.Second

// record is what the agent tells of its host; the stand-in for the Palette API
// says in its package comment how it wants it.
type record struct {
	Metadata struct {
		UID    string            `json:"uid"`
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels,omitempty"`
	} `json:"metadata"`
	Spec struct {
		ProjectName  string     `json:"projectName,omitempty"`
		ProjectUID   string     `json:"projectUid,omitempty"`
		AgentVersion string     `json:"agentVersion"`
		Device       deviceSpec `json:"device"`
		Host         struct {
			Address string `json:"hostAddress"`
			MAC     string `json:"macAddress"`
		} `json:"host"`
	} `json:"spec"`
}

type deviceSpec struct {
	Arch  string `json:"archType"`
	Type  string `json:"hostType"`
	State string `json:"hostState"`
	CPU   struct {
		Cores int `json:"cores"`
	} `json:"cpu"`
	Memory struct {
		MB int64 `json:"sizeInMB"`
	} `json:"memory"`
	Disks []disk            `json:"disks"`
	NICs  []localuitest.NIC `json:"nics"`
}

// record is this host as it is told to Palette.
func (m machine) record(id string, site stylusSite) record {
	var r record
	r.Metadata.UID, r.Metadata.Name, r.Metadata.Labels = id, id, map[string]string{}
	for name, value := range site.Tags {
		r.Metadata.Labels[name] = fmt.Sprint(value)
	}
	r.Spec.ProjectName, r.Spec.ProjectUID, r.Spec.AgentVersion = site.ProjectName, site.ProjectUID, agentVersion
	d := &r.Spec.Device
	d.Arch, d.Type, d.State, d.Disks, d.NICs = "amd64", "appliance", "registration", m.disks, m.nics
	d.CPU.Cores, d.Memory.MB = m.cores, m.memoryMB
	for _, n := range m.nics {
		if n.Main || r.Spec.Host.Address == "" {
			r.Spec.Host.Address, r.Spec.Host.MAC = n.IP, n.MAC
		}
	}
	return r
}

// keepRegistered registers the host, however long it takes, and then says now
// and then that it is there.
func keepRegistered(ctx context.Context, site stylusSite, r record, say func(string, ...any)) error {
	if site.PaletteEndpoint == "" || site.EdgeHostToken == "" {
		say("there is no stylus.site.paletteEndpoint with edgeHostToken in the configuration: not registering")
		return nil
	}
	client, err := site.client()
	if err != nil {
		say("not registering: %v", err)
		return nil
	}
	registered, wait := false, firstPause
	for {
		err := r.post(ctx, client, site)
		next := signOfLife
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			next, wait = wait, min(2*wait, longestPause)
			say("not registered with %s: %v; trying again in %s", site.PaletteEndpoint, err, next)
		case !registered:
			registered, wait = true, firstPause
			say("registered with %s as %s", site.PaletteEndpoint, r.Metadata.UID)
		}
		if pause(ctx, next) != nil {
			return nil
		}
	}
}

// client believes whom the configuration says.
func (s stylusSite) client() (*http.Client, error) {
	trusted := &tls.Config{InsecureSkipVerify: s.InsecureSkipVerify, MinVersion: tls.VersionTLS12}
	for _, text := range s.CACerts {
		pem, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("stylus.site.caCerts: %w", err)
		}
		if trusted.RootCAs == nil {
			trusted.RootCAs = x509.NewCertPool()
		}
		if !trusted.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("stylus.site.caCerts: there is no certificate in it")
		}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: trusted}, Timeout: 10 * time.Second}, nil
}

// url is where the agent registers. An endpoint is a host name, as in a real
// configuration; for a lab without certificates it may be http://HOST:PORT.
func (s stylusSite) url() string {
	if strings.Contains(s.PaletteEndpoint, "://") {
		return s.PaletteEndpoint + "/v1/edgehosts/register"
	}
	return "https://" + s.PaletteEndpoint + "/v1/edgehosts/register"
}

func (r record) post(ctx context.Context, client *http.Client, site stylusSite) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, site.url(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("EdgeHostToken", site.EdgeHostToken)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s: %s", response.Status, firstLine(answer))
	}
	return nil
}
