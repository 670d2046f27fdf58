package tftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"strings"

	"github.com/muster-boot/muster/pxe"
)

// What a client reads in the ERROR packet. The reason stays in our log: the
// network hears no more than that there is nothing for it.
const (
	errNothing = refusal("nothing here for you")
	errBusy    = refusal("too many transfers at once, try again")
)

// refusal is an error whose text is sent to the client.
type refusal string

func (r refusal) Error() string { return string(r) }

// autoexecName is what newer iPXE builds ask for, beside whatever they were
// loaded from, before they run their own script.
const autoexecName = "autoexec.ipxe"

// reader returns the library's read handler for one endpoint.
func (s *Server) reader(ctx context.Context, e Endpoint) func(string, io.ReaderFrom) error {
	return func(name string, rf io.ReaderFrom) error {
		t, ok := rf.(transfer)
		if !ok {
			return errNothing
		}
		remote := t.RemoteAddr()
		return s.read(ctx, e, remote.AddrPort().Addr().Unmap(), name, rf)
	}
}

// read serves one request. What it returns is sent to the client.
func (s *Server) read(ctx context.Context, e Endpoint, client netip.Addr, name string, rf io.ReaderFrom) error {
	log := s.log.With().Stringer("address", client).Str("file", printable(name)).Logger()
	data, err := s.find(ctx, e, client, name)
	if err != nil {
		log.Debug().Err(err).Msg("a TFTP request is refused")
		return errNothing
	}
	if !s.gate.enter(client) {
		log.Warn().Msg("a TFTP request is refused: too many transfers at once")
		return errBusy
	}
	defer s.gate.leave(client)
	_, err = rf.ReadFrom(bytes.NewReader(data))
	if err != nil && probed(err) {
		log.Debug().Msg("a client asked for the size of a loader")
		return nil
	}
	if err != nil {
		log.Warn().Err(err).Msg("a client stopped fetching a loader")
	} else {
		log.Info().Int("bytes", len(data)).Msg("a loader was fetched by TFTP")
	}
	s.opts.Fetched(Fetch{Network: e.Network, Address: client, File: printable(name), Bytes: len(data), Err: err})
	return nil // the library has told the client already
}

// find returns the bytes that the client gets under name, or why none.
func (s *Server) find(ctx context.Context, e Endpoint, client netip.Addr, name string) ([]byte, error) {
	mac, ok := s.owners.MACOf(client)
	if !ok {
		return nil, errors.New("the address has no lease from us")
	}
	c := pxe.Client{MAC: mac, Arch: pxe.ArchUnknown, Network: e.Network, Address: client, Transport: pxe.TFTP}
	a, err := s.decider.Decide(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("decide about %s: %w", mac, err)
	}
	if !a.Serve {
		return nil, fmt.Errorf("%s is not served", mac)
	}
	name = clean(name)
	if path.Base(name) == autoexecName && a.Script != "" {
		script, err := s.autoexec(fmt.Sprintf("http://%s%s", netip.AddrPortFrom(e.Address.Addr(), e.BootPort), a.Script))
		return []byte(script), err
	}
	data, ok := s.files.File(name)
	if !ok {
		return nil, errors.New("there is no such loader")
	}
	return data, nil
}

// probed reports whether a transfer ended because the client wanted only its
// size: EDK2 asks for tsize, stops with error 8 (RFC 2347), and asks again for
// the file. The library gives the code in its text only.
func probed(err error) bool {
	return strings.Contains(err.Error(), "sending block 0: code=8,")
}

// printable makes a name from the network fit for a log.
func printable(name string) string {
	const limit = 128
	if len(name) > limit {
		name = name[:limit]
	}
	return strings.ToValidUTF8(name, "?")
}
