package ipmi

import (
	"context"
	"net"
	"time"
)

// The RMCP header and the ASF message of a presence ping (ASF 2.0 §3.2.2.3 and
// §3.2.4.2). It needs no login.
var presencePing = [...]byte{
	0x06, 0x00, 0xff, 0x06, // RMCP version, reserved, no acknowledgement wanted, class ASF
	0x00, 0x00, 0x11, 0xbe, // enterprise number of ASF
	0x80, 0x00, 0x00, 0x00, // presence ping, tag, reserved, no data
}

// Present reports whether something at address, with its port, speaks IPMI. It
// shows no password. A silence is a no.
func Present(ctx context.Context, address string) bool {
	const pings, patience = 3, time.Second
	conn, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	answer := make([]byte, 64)
	for range pings {
		if ctx.Err() != nil || conn.SetDeadline(time.Now().Add(patience)) != nil {
			return false
		}
		if _, err := conn.Write(presencePing[:]); err != nil {
			return false
		}
		if n, err := conn.Read(answer); err == nil {
			return isPong(answer[:n])
		}
	}
	return false
}

// isPong reads an answer to the ping (ASF 2.0 §3.2.4.3).
func isPong(b []byte) bool {
	const kind, pong, entities, ipmi = 8, 0x40, 20, 0x80
	return len(b) > entities && b[0] == presencePing[0] && b[kind] == pong && b[entities]&ipmi != 0
}
