package localui

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// Ends of a link (v1LinkStatus of the API).
const (
	linkDone   = "Completed"
	linkFailed = "Failed"
)

// join links the host with the leader of its order. The leader is ready first;
// its tokens count for two minutes, so each is fetched when it is needed.
func (c *confirmation) join(ctx context.Context) *handoff.Result {
	switch {
	case c.o.Link.Leader == "":
		return nil
	case is(c.h, c.o.Link.Leader):
		c.gave = append(c.gave, "it leads the linked hosts of its order")
		return nil
	}
	leader := find(c.b.Hosts, c.o.Link.Leader)
	if leader == nil {
		return asks("handoff.link.leader is %s, and no host of order %s has that name or serial: mend the order and import it again.", c.o.Link.Leader, c.b.Order)
	}
	l, err := c.s.edge.linked(ctx)
	switch {
	case err != nil:
		return c.trouble(err)
	case l.has(idOf(*leader)) && l.Status == linkDone:
		c.gave = append(c.gave, "it is linked with "+idOf(*leader))
		return nil
	case l.Status == linkFailed:
		return asks("The host at %s could not be linked with %s (%s): unlink it in its Local UI at https://%s; it is then tried again.", c.s.address, idOf(*leader), l.Error, c.s.address)
	case l.Status != "" && l.Status != linkDone:
		return waits(soon, "the link of the host with %s.", idOf(*leader))
	}
	if r := leader.Facts.Receipt; r == nil || r.Attempt != leader.Status.Attempt.ID {
		return waits(lookAgain, "%s, which leads the linked hosts of the order; this host is ready.", idOf(*leader))
	}
	return c.joinNow(ctx, *leader)
}

// joinNow takes a token from the leader to the host.
func (c *confirmation) joinNow(ctx context.Context, leader provisioner.Host) *handoff.Result {
	token, r := c.leaderToken(ctx, leader)
	if r != nil {
		return r
	}
	l, err := c.s.edge.link(ctx, token)
	switch {
	case err == nil && l.Status == linkFailed:
		return asks("The host at %s could not be linked with %s (%s): unlink it in its Local UI; it is then tried again.", c.s.address, idOf(leader), l.Error)
	case err == nil:
		return waits(atOnce, "the link of the host with %s.", idOf(leader))
	case statusOf(err)/100 == 4:
		return waits(lookAgain, "a new link token of %s, as the host did not take the last (%s).", idOf(leader), err)
	}
	return c.trouble(err)
}

// leaderToken asks the leader for a token. Its receipt proves that it takes the
// password, so this log-in is none that could lock it out.
func (c *confirmation) leaderToken(ctx context.Context, leader provisioner.Host) (string, *handoff.Result) {
	at := addressOf(leader)
	if at == "" {
		return "", waits(lookAgain, "the address of %s, which leads the linked hosts.", idOf(leader))
	}
	s := c.d.session(leader)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(net.JoinHostPort(at, strconv.Itoa(c.o.Port)), keptOf(leader).Pin)
	if s.in.IsZero() || c.d.now().Sub(s.in) > freshSession {
		if err := s.edge.login(ctx, c.o.User, c.b.Secrets[c.o.Password].Reveal()); err != nil {
			return "", c.leaderTrouble(leader, s, err)
		}
		s.in = c.d.now()
	}
	token, err := s.edge.linkToken(ctx)
	if err != nil {
		return "", c.leaderTrouble(leader, s, err)
	}
	return token, nil
}

// leaderTrouble asks a person where the leader answers at all: what it took
// before it does not take now.
func (c *confirmation) leaderTrouble(leader provisioner.Host, s *session, err error) *handoff.Result {
	if statusOf(err) == 0 {
		return waits(lookAgain, "%s, which leads the linked hosts and does not answer at %s.", idOf(leader), s.address)
	}
	c.keep.Refused = fmt.Sprintf("%s, which leads the linked hosts, gives no link token (%s): look at its Local UI at https://%s, then %s.",
		idOf(leader), err, s.address, c.goOn())
	return persons(c.keep.Refused)
}

// is tells whether a row's name or serial is that.
func is(h provisioner.Host, name string) bool {
	return strings.EqualFold(h.Intent.Row.Name, name) || strings.EqualFold(h.Intent.Row.Serial, name)
}

// find is the host of a row, or nil.
func find(hosts []provisioner.Host, name string) *provisioner.Host {
	for i := range hosts {
		if is(hosts[i], name) {
			return &hosts[i]
		}
	}
	return nil
}
