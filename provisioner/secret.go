package provisioner

import "crypto/subtle"

// Secret is a token that opens something. It prints as "[redacted]" wherever a
// formatter or logger meets it. A host's is stored in clear, because the store is
// the one place that must know it; an order's is sealed there. API shapes never
// carry it.
type Secret string

// String implements [fmt.Stringer] and gives nothing away.
func (Secret) String() string { return "[redacted]" }

// GoString implements [fmt.GoStringer] and gives nothing away.
func (Secret) GoString() string { return "[redacted]" }

// Reveal returns the token, for the one URL or file that must carry it.
func (s Secret) Reveal() string { return string(s) }

// Matches compares in constant time. An empty secret matches nothing.
func (s Secret) Matches(token string) bool {
	return s != "" && subtle.ConstantTimeCompare([]byte(s), []byte(token)) == 1
}
