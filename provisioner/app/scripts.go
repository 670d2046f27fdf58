package app

import (
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/httpboot"
	"github.com/muster-boot/muster/pxe/ipxe"
)

// askAgain is how long a host pauses that has nothing to boot yet.
const askAgain = 10 * time.Second

// scripts answers boot script requests: the moment at which it is decided what
// a host boots. It is mounted so that the Decider was asked before.
type scripts struct {
	decider  *decider
	engine   *engine.Engine
	mirror   *store.Mirror
	boots    *boots
	networks map[string]network // by interface
	log      zerolog.Logger
}

// ServeHTTP implements [http.Handler] below scriptPrefix. The client must ask
// for the script of its own MAC: nobody reads another host's.
func (s *scripts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, answer, ok := httpboot.Asker(r.Context())
	n, here := s.networks[c.Network]
	if !ok || !here || answer.Script != r.URL.Path {
		http.NotFound(w, r)
		return
	}
	h, err := s.see(r.Context(), c, n)
	body := ""
	if err == nil {
		body, err = s.offer(r.Context(), h, n)
	}
	if err != nil {
		s.log.Warn().Err(err).Str("mac", c.MAC.String()).Msg("nothing to boot; the host is told to wait")
		body = waitScript(err, n.base+answer.Script)
	}
	httpboot.Bytes(w, r, "text/plain; charset=utf-8", []byte(body))
}

// see has the host move to what it boots now. Its attempt may be a new one: it
// is handed out when those who are asked for it next know it.
func (s *scripts) see(ctx context.Context, c pxe.Client, n network) (provisioner.Host, error) {
	h, err := s.engine.See(ctx, engine.Seen{
		MAC: c.MAC.String(), Network: c.Network, Address: text(c.Address), Netboot: true,
		Discover: n.Unknown == config.UnknownDiscover,
	})
	if err != nil {
		return h, err
	}
	return h, s.mirror.Sync(ctx)
}

// waitScript says on the host's console what is wrong, and asks again.
func waitScript(why error, again string) string {
	body, err := ipxe.Wait("muster: "+why.Error(), askAgain, again)
	if err != nil {
		return ipxe.Refuse("muster: " + why.Error())
	}
	return body
}

// offer is what h boots now. All URLs are of the network that it asks on,
// whatever was seen of it elsewhere meanwhile.
func (s *scripts) offer(ctx context.Context, h provisioner.Host, n network) (string, error) {
	switch s.decider.offer(h, true, n.Interface) {
	case provisioner.BootDiscover:
		boot, err := s.boots.scout(h, n.base)
		if err != nil {
			return "", err
		}
		return s.netboot(ctx, h, "muster: "+h.Status.Why, boot)
	case provisioner.BootInstall:
		_, rendering, err := s.engine.Rendering(ctx, h.Status.Attempt.ID)
		if err != nil {
			return "", err
		}
		boot, err := s.boots.installer(h, rendering, n.base)
		if err != nil {
			return "", err
		}
		return s.netboot(ctx, h, "muster: "+h.Status.Why, boot)
	case provisioner.BootLocalDisk:
		return ipxe.LocalDisk(n.base)
	case provisioner.BootImage:
		return ipxe.Refuse(byFirmware), nil
	case provisioner.BootSilence:
	}
	return ipxe.Refuse("muster: " + lifecycle.Awaiting(h)), nil
}

// byFirmware is for a host that came by PXE and must not: an ISO that a loader
// attached would be gone when the kernel takes over, what the firmware's own
// HTTP boot fetches stays in memory for it. The loader ends, so that firmware
// goes on to its next boot option.
const byFirmware = "muster: this host boots its own ISO by the HTTP boot of its UEFI firmware, not by PXE. Choose UEFI HTTP boot in its boot order."

func (s *scripts) netboot(ctx context.Context, h provisioner.Host, say string, n inventory.Netboot) (string, error) {
	body, err := ipxe.Netboot{Say: say, Kernel: n.Kernel, Initrds: n.Initrds, Cmdline: n.Cmdline}.Script()
	if err != nil {
		return "", err
	}
	return body, s.engine.Fetched(ctx, h.Status.Attempt.ID, provisioner.StageScript)
}
