package lifecycle

import (
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// waits is what the hand-off's driver said last of the present attempt.
func waits(h provisioner.Host) (provisioner.Waits, bool) {
	w := h.Facts.Waits
	if w == nil || w.Attempt != h.Status.Attempt.ID {
		return provisioner.Waits{}, false
	}
	return *w, true
}

// dueReceipt is the deadline of an installed host, put off by the time in which
// its driver could not look; zero while it cannot.
func dueReceipt(h provisioner.Host) time.Time {
	w, _ := waits(h)
	if !w.Away.IsZero() {
		return time.Time{}
	}
	return h.Status.Deadline.Add(w.Blind)
}

// Confirms tells whether the hand-off's driver is asked about h: its system
// stands and waits for the receipt. That its deadline passed ends the attempt,
// not the asking: an agent may come late. One that ships registers elsewhere.
func Confirms(h provisioner.Host) bool {
	if h.Intent.Ship {
		return false
	}
	switch h.Status.Phase {
	case provisioner.Installed:
		return true
	case provisioner.Failed:
		return h.Status.Attempt.Phase == provisioner.Installing && !callHomeTime(h).IsZero()
	case provisioner.Unknown, provisioner.Expected, provisioner.Discovered, provisioner.Verifying, provisioner.Ready,
		provisioner.Installing, provisioner.Registered, provisioner.Shipped, provisioner.Quarantined:
	}
	return false
}

// Over tells whether an order needs the hand-off of these hosts no more: none
// of them is on the way, and either all are done or nobody wants the rest done.
// One that was shipped needs at its final site what the hand-off made for it.
// hosts are those of the order that go by one driver.
func Over(started bool, hosts []provisioner.Host) bool {
	for _, h := range hosts {
		switch h.Status.Phase {
		case provisioner.Installing, provisioner.Installed, provisioner.Shipped:
			return false
		case provisioner.Registered:
		case provisioner.Unknown, provisioner.Expected, provisioner.Discovered, provisioner.Verifying,
			provisioner.Ready, provisioner.Failed, provisioner.Quarantined:
			if started {
				return false
			}
		}
	}
	return true
}
