package palette

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// Confirm implements [handoff.Driver]: the receipt is Palette's own record of
// the host's name, made after the installation began, healthy, in the order's
// project, of the machine that was verified.
func (d *Driver) Confirm(ctx context.Context, b handoff.Batch, h provisioner.Host) (handoff.Result, error) {
	o, err := readOptions(b.Options)
	if err != nil {
		return handoff.Result{Ask: upper(err.Error()) + ".", Again: lookAgain}, nil
	}
	st, err := readState(b.State)
	if err == nil && st.Project == "" {
		st.Project, err = d.projectUID(ctx, o.Project, otherAge) // the order was closed meanwhile, or opened without Palette
	}
	if err != nil {
		return d.unseen(err), nil
	}
	records, err := d.lookout.hosts(ctx, st.Project, lookEvery)
	if errors.Is(err, errLooking) {
		return handoff.Result{Waits: d.awaited(o, h), Again: lookBehind}, nil
	}
	if err != nil {
		return d.unseen(err), nil
	}
	q := query{uids: d.uidsOf(o, h), host: h, project: o.Project, endpoint: d.settings.Endpoint, ours: d.client.ours}
	res, settled := q.judge(records)
	if !settled {
		res = handoff.Result{Waits: d.awaited(o, h)}
		if text := d.elsewhere(ctx, q, st.Project); text != "" {
			res = handoff.Result{Ask: text}
		}
	}
	if res.Receipt == nil {
		res.Again = d.lookout.next(st.Project)
	}
	return res, nil
}

// unseen is a look that did not work.
func (d *Driver) unseen(err error) handoff.Result {
	text := d.sentence(err)
	if away(err) {
		return handoff.Result{Away: true, Again: lookAgain, Waits: "an answer of Palette. " + text}
	}
	return handoff.Result{Away: true, Again: lookAgain, Ask: text}
}

func (d *Driver) awaited(o options, h provisioner.Host) string {
	return fmt.Sprintf("the Edge host %s in project %s of Palette at %s. Its agent registers when it reaches that address and its clock is right; where it cannot, its console and journalctl -u stylus-agent say why.",
		d.uidsOf(o, h)[0], o.Project, d.settings.Endpoint)
}

// query is one host that is looked for.
type query struct {
	uids     []string
	host     provisioner.Host
	project  string // name
	endpoint string
	ours     func(time.Time) time.Time // Palette's times by our clock
}

// judge says what the records of the project mean for the host; false where
// they have nothing of it. It is pure.
func (q query) judge(records []edgeHost) (handoff.Result, bool) {
	record, found := recordOf(records, q.uids)
	if !found {
		return q.misnamed(records)
	}
	uid := record.Metadata.UID
	switch {
	case q.before(record):
		return handoff.Result{Ask: fmt.Sprintf(
			"Palette at %s has an Edge host %s from before this installation, which keeps the new one from registering: delete it there; the agent then tries again by itself.", q.endpoint, uid)}, true
	case record.Status.State == "unpaired":
		return handoff.Result{Waits: fmt.Sprintf("the registration of Edge host %s, which Palette at %s knows by name only.", uid, q.endpoint)}, true
	}
	if len(record.macs) == 0 {
		return handoff.Result{Waits: fmt.Sprintf(
			"the network ports of Edge host %s, which Palette at %s does not show yet: without them nobody can tell which machine registered.", uid, q.endpoint)}, true
	}
	if text := q.differs(record); text != "" {
		return handoff.Result{Ask: text}, true
	}
	if other, ok := q.double(records, record); ok {
		return handoff.Result{Ask: fmt.Sprintf(
			"Palette at %s has this machine twice, as %s and as %s: delete the one that is not wanted there.", q.endpoint, uid, other.Metadata.UID)}, true
	}
	if record.Status.Health.State != "healthy" {
		return handoff.Result{Waits: q.unhealthy(record)}, true
	}
	return handoff.Result{Receipt: q.receipt(record)}, true
}

// before tells whether a record is older than the installation.
func (q query) before(r edgeHost) bool {
	made := q.ours(r.Metadata.Created.Time)
	return !made.IsZero() && made.Before(q.host.Status.Attempt.Began.Truncate(time.Second))
}

func (q query) unhealthy(r edgeHost) string {
	health := r.Status.Health
	text := fmt.Sprintf("a healthy Edge host %s. It is registered with Palette at %s, which does not call it healthy", r.Metadata.UID, q.endpoint)
	if health.State != "" {
		text += " but " + clip(health.State)
	}
	if health.Message != "" {
		return text + ": " + strings.TrimRight(clip(health.Message), ".") + "."
	}
	return text + " and does not say why; the host's console and journalctl -u stylus-agent may."
}

// misnamed finds the machine under a name that muster did not give it.
func (q query) misnamed(records []edgeHost) (handoff.Result, bool) {
	verified := macsOf(q.host)
	i := slices.IndexFunc(records, func(r edgeHost) bool { return !q.before(r) && overlap(r.macs, verified) })
	if i < 0 {
		return handoff.Result{}, false
	}
	return handoff.Result{Ask: fmt.Sprintf(
		"This machine registered with Palette at %s as %s and not as %s: its user-data did not reach the agent, or the image's or the order's sets another stylus.site.name. Delete that Edge host, mend it and install anew.",
		q.endpoint, records[i].Metadata.UID, q.uids[0])}, true
}

// double is a second record of the same machine. Only its real ports count:
// those that software makes may be alike on many.
func (q query) double(records []edgeHost, record edgeHost) (edgeHost, bool) {
	verified := macsOf(q.host)
	i := slices.IndexFunc(records, func(r edgeHost) bool {
		return r.Metadata.UID != record.Metadata.UID && overlap(r.macs, verified)
	})
	if i < 0 {
		return edgeHost{}, false
	}
	return records[i], true
}

// Other projects are looked into when a host does not come: slowly, one at a
// time, because each is a request of its own.
const (
	patience   = 2 * time.Minute // after the installed system's first call
	otherAge   = 5 * time.Minute
	mostOthers = 25
)

// elsewhere says in which other project the host is; nothing where it is in
// none that could be looked into.
func (d *Driver) elsewhere(ctx context.Context, q query, project string) string {
	if d.now().Sub(q.host.Status.Since) < patience {
		return ""
	}
	all, err := d.lookout.projects(ctx, otherAge)
	if err != nil {
		return ""
	}
	asked := false
	for _, p := range all[:min(len(all), mostOthers)] {
		if p.UID == project {
			continue
		}
		if !d.lookout.fresh(p.UID, otherAge) {
			if asked {
				return "" // the rest another time
			}
			asked = true
		}
		records, err := d.lookout.hosts(ctx, p.UID, otherAge)
		if err != nil {
			return "" // another time
		}
		if r, found := recordOf(records, q.uids); found && !q.before(r) {
			return fmt.Sprintf("Edge host %s registered with Palette at %s in project %s and not in %s: look for another project in its image's user-data or in the token's default, delete it there and install anew.",
				r.Metadata.UID, q.endpoint, p.Name, q.project)
		}
	}
	return ""
}
