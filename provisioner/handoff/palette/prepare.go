package palette

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/stylus"
)

// previewToken stands in for the token of an order that has none yet.
const previewToken = "the-registration-token-of-this-order"

// Prepare implements [handoff.Driver]: the host's stylus user-data. What stands
// in the way of its registration is said before it is installed, or removed
// where that is allowed.
func (d *Driver) Prepare(ctx context.Context, b handoff.Batch, h provisioner.Host, _ string) (handoff.Carry, error) {
	o, err := readOptions(b.Options)
	if err != nil {
		return handoff.Carry{}, operator(err)
	}
	st, err := readState(b.State)
	if err != nil {
		return handoff.Carry{}, err
	}
	t, opened := st.last()
	switch {
	case b.Preview:
		t = token{UID: "not made yet", Value: previewToken}
	case !opened:
		return handoff.Carry{}, errors.New("the order has no registration token yet")
	}
	carry, err := d.carry(o, b, h, t)
	if err == nil && b.Preview {
		err = o.checkConfig(b.Config, carry.Values)
	}
	if err != nil || b.Preview {
		return carry, err
	}
	note, err := d.clear(ctx, o, st.Project, h)
	carry.Note = strings.TrimSpace(note + " " + carry.Note)
	return carry, err
}

// carry is pure but for the certificates, which are files.
func (d *Driver) carry(o options, b handoff.Batch, h provisioner.Host, t token) (handoff.Carry, error) {
	c := carried{
		options: o, endpoint: d.settings.Endpoint, token: t.Value, secrets: b.Secrets, static: h.Intent.Row.Static,
		pems: map[string][]string{},
	}
	if o.Identity == byName {
		c.name = nameOf(d.settings.Site, h)
	}
	if o.HostName == "manifest" {
		c.hostName = h.Intent.Row.Name
	}
	if err := c.readCertificates(d.settings.CAFile); err != nil {
		return handoff.Carry{}, operator(err)
	}
	values, err := c.userData()
	if err != nil {
		return handoff.Carry{}, operator(err)
	}
	carry := handoff.Carry{Values: values, Hidden: []provisioner.Secret{provisioner.Secret(t.Value)}}
	as := cmp.Or(c.name, "the UUID that its agent sees")
	carry.Note = fmt.Sprintf("Its user-data has registration token %s, valid until %s; it registers as %s.", cmp.Or(t.UID, "of a file"), day(t.Expires), as)
	return carry, nil
}

// checkConfig says what is wrong with what the order adds to the user-data.
func (o options) checkConfig(config, over map[string]any) error {
	if err := stylus.Check(config, over, o.OtherKeys); err != nil {
		return operator(err)
	}
	agent, _ := config["stylus"].(map[string]any)
	site, _ := agent["site"].(map[string]any)
	if site["projectUid"] != nil {
		return operator(errors.New("config: stylus.site.projectUid names a project, and so does handoff.project: leave it out"))
	}
	if o.Identity != byUUID {
		return nil
	}
	for _, key := range []string{"name", "prefix", "deviceUIDPaths"} {
		if site[key] != nil {
			return operator(fmt.Errorf("config: stylus.site.%s would have the agent take another name than the one of its UUID, by which muster looks for it (identity: uuid): leave it out", key))
		}
	}
	return nil
}

// readCertificates reads the files that the order names, and the site's own.
func (c *carried) readCertificates(site string) error {
	files := slices.Clone(c.CAFiles)
	if site != "" {
		files = append(files, site)
	}
	for _, file := range files {
		certs, err := certificatesIn(file)
		if err != nil {
			return fmt.Errorf("handoff.ca_files: %w", err)
		}
		c.caCerts = append(c.caCerts, certs...)
	}
	for i, r := range c.Registries {
		for _, file := range r.CAFiles {
			certs, err := certificatesIn(file)
			if err != nil {
				return fmt.Errorf("handoff.registries[%d].ca_files: %w", i, err)
			}
			c.pems[file] = nil
			for _, cert := range certs {
				c.pems[file] = append(c.pems[file], string(cert))
			}
		}
	}
	return nil
}

func certificatesIn(file string) ([][]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	certs := certificates(text)
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return certs, nil
}

// clear makes way for a host whose name Palette knows already. Where Palette
// cannot be asked the host goes on: a record that is in its way shows itself
// when it does not arrive.
func (d *Driver) clear(ctx context.Context, o options, project string, h provisioner.Host) (note string, err error) {
	if project == "" { // Palette could not be asked when the order was opened
		project, err = d.projectUID(ctx, o.Project, lookEvery)
	}
	var records []edgeHost
	if err == nil {
		records, err = d.lookout.hosts(ctx, project, lookEvery)
	}
	switch {
	case errors.Is(err, errLooking):
		return "", d.fault(err)
	case err != nil && away(err):
		return "Palette could not be asked whether it knows the host from before.", nil
	case err != nil:
		return "", d.fault(err)
	}
	record, found := recordOf(records, d.uidsOf(o, h))
	if !found {
		return "", nil
	}
	uid := record.Metadata.UID
	granted := o.ReplaceStale == "allowed" || h.Status.Attempt.Erase // a person asked to install it anew
	switch {
	case record.Status.State == "in-use":
		return "", operator(errors.New(strings.TrimSuffix(d.inUse(uid), ".")))
	case !granted:
		return "", operator(errors.New(strings.TrimSuffix(d.inTheWay(uid), ".")))
	}
	err = d.client.deleteHost(ctx, project, uid)
	d.lookout.forget(project)
	if err != nil {
		return "", d.fault(err)
	}
	return fmt.Sprintf("Deleted the Edge host %s that Palette had from before.", uid), nil
}
