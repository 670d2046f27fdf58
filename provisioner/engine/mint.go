package engine

import (
	"crypto/rand"
	"encoding/base32"
	"strings"

	"github.com/muster-boot/muster/provisioner"
)

// Sizes of minted values in bytes. Tokens are short enough for a kernel command
// line and long enough (160 bit) to be guessed by nobody.
const (
	idBytes     = 10
	secretBytes = 20
)

func newID(prefix string) string { return prefix + "-" + random(idBytes) }

func newSecret() provisioner.Secret { return provisioner.Secret(random(secretBytes)) }

// random returns n random bytes in lower-case base32: no character needs
// quoting in a URL, a shell or a kernel command line.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails; crypto/rand ends the process instead
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
