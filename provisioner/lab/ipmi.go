package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/muster-boot/muster/redfish/ipmi/ipmitest"
)

// IPMI is a management controller that speaks nothing but IPMI: OpenIPMI's
// ipmi_sim at an address of its own, which powers the host and chooses what it
// boots next. User and password are those of [ipmitest].
type IPMI struct {
	Address netip.Addr
	Network string // of the lab; empty means its first
}

// ipmiPort is where IPMI is asked for (IPMI 2.0, 13.1.2).
const ipmiPort = 623

// simulator is a running ipmi_sim with its place on the network.
type simulator struct {
	sim     *ipmitest.Simulator
	chassis http.Server // what its chassis script asks
	done    chan struct{}
}

// giveIPMI starts the host's simulator. The host finds it at its system interface
// at its next power-on.
func (h *Host) giveIPMI(ctx context.Context, b IPMI) error {
	seat, err := h.lab.Seat(ctx, b.Network, b.Address)
	if err != nil {
		return err
	}
	h.seat = seat
	dir := filepath.Join(h.dir, "ipmi")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "chassis.sock"))
	if err != nil {
		return err
	}
	s := &simulator{done: make(chan struct{})}
	s.chassis.Handler = h.chassisHandler()
	go func() { defer close(s.done); _ = s.chassis.Serve(socket) }() // ends with endIPMI alone
	h.ipmi = s
	// Not bound to ctx: it ends with the host, or by the lab's guard.
	s.sim, err = ipmitest.Start(context.Background(), dir, ipmitest.Options{
		Address: fmt.Sprintf("%s:%d", b.Address, ipmiPort), VM: h.spec.KCS, Command: h.lab.wires().Command,
		Chassis: fmt.Sprintf("#!/bin/sh\nexec curl -sf --unix-socket %s http://chassis/$1/$2/$3\n", socket.Addr()),
	})
	return err
}

// chassisHandler is what ipmi_sim's chassis script asks and tells.
func (h *Host) chassisHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /get/power/", func(w http.ResponseWriter, _ *http.Request) {
		on := 1
		if h.Off() {
			on = 0
		}
		fmt.Fprintf(w, "power:%d\n", on)
	})
	mux.HandleFunc("GET /get/boot/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "boot:none") })
	mux.HandleFunc("GET /set/{what}/{to}", func(w http.ResponseWriter, r *http.Request) {
		if err := h.obey(r.Context(), r.PathValue("what"), r.PathValue("to")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

// obey does what the chassis is told.
func (h *Host) obey(ctx context.Context, what, to string) error {
	switch what + " " + to {
	case "power 1":
		return h.PowerOn(ctx)
	case "power 0":
		return h.kill()
	case "reset 1":
		return h.Reset(ctx)
	case "shutdown 1":
		return h.press("press the power button of", "system_powerdown")
	case "boot pxe":
		h.BootOnce(FromNetwork)
	case "boot cdrom":
		h.BootOnce(FromCD)
	case "boot default":
		h.BootOnce(FromDisk)
	case "boot none":
		h.ForgetBootOnce()
	default:
		return fmt.Errorf("the chassis cannot set %s to %s", what, to)
	}
	return nil
}

// endIPMI ends the simulator and leaves the power as it is.
func (h *Host) endIPMI() error {
	if h.ipmi == nil {
		return nil
	}
	if h.ipmi.sim != nil {
		h.ipmi.sim.Close()
	}
	err := h.ipmi.chassis.Close()
	<-h.ipmi.done
	return err
}
