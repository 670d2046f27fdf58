package provisioner

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// Sizes of minted values in bytes. Secrets are short enough for a kernel
// command line and long enough (160 bit) to be guessed by nobody; ids have 80
// bit, so that none comes twice.
const (
	idBytes     = 10
	secretBytes = 20
)

// MintHost makes the id of a new host.
func MintHost() HostID { return HostID("h-" + random(idBytes)) }

// MintAttempt makes the id of a new attempt.
func MintAttempt() AttemptID { return AttemptID("a-" + random(idBytes)) }

// MintSecret makes a new token.
func MintSecret() Secret { return Secret(random(secretBytes)) }

// random returns n random bytes in lower-case base32: no character needs
// quoting in a URL, a shell or a kernel command line.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails; crypto/rand ends the process instead
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
