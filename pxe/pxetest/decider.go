package pxetest

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/muster-boot/muster/pxe"
)

// Decider answers by MAC from a table and remembers who asked.
type Decider struct {
	Answers map[string]pxe.Answer // by MAC; others are not served
	Err     error                 // what every question ends with, when set

	mu    sync.Mutex
	asked []pxe.Client
}

// Decide implements pxe.Decider.
func (d *Decider) Decide(_ context.Context, c pxe.Client) (pxe.Answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, c)
	return d.Answers[c.MAC.String()], d.Err
}

// Asked returns the clients that were asked about, in order.
func (d *Decider) Asked() []pxe.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]pxe.Client(nil), d.asked...)
}

// Owners is a fixed list of leases.
type Owners map[netip.Addr]net.HardwareAddr

// MACOf returns whose address addr is.
func (o Owners) MACOf(addr netip.Addr) (net.HardwareAddr, bool) {
	mac, ok := o[addr]
	return mac, ok
}
