package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/config"
)

// sayWhatIsServed tells the person who started the server what it serves,
// where, and to whom it will not answer.
func sayWhatIsServed(out io.Writer, cfg config.Config, nets []network, https, reasons []string) {
	for _, n := range nets {
		fmt.Fprintf(out, "muster: %s %s: %s\n", n.Interface, n.address, networkWords(n))
		fmt.Fprintf(out, "muster: %s %s: the same by https, for BMCs, at %s\n", n.Interface, n.address, n.secure)
	}
	for _, line := range https {
		fmt.Fprintf(out, "muster: %s\n", line)
	}
	fmt.Fprintf(out, "muster: people at %s (only its owner can open it); data in %s\n", cfg.Socket, cfg.Data)
	for _, r := range reasons {
		fmt.Fprintf(out, "muster: %s\n", r)
	}
}

// networkWords is what hosts get on a network. Without DHCP nobody boots from it,
// and boot files are for those whose scout runs.
func networkWords(n network) string {
	if n.DHCP == config.DHCPOff {
		return fmt.Sprintf("no DHCP, no TFTP; hosts' own ISOs, with what their scouts and installers ask for, at %s", n.base)
	}
	return fmt.Sprintf("DHCP with %s-%s, TFTP, boot files at %s; %s", n.Pool.From, n.Pool.To, n.base, unknownWords(n))
}

func unknownWords(n network) string {
	if n.Unknown == config.UnknownDiscover {
		return "hosts in no manifest get the scout and wait for approval"
	}
	return "hosts in no manifest get no answer"
}

// withoutToken is a boot plane path fit for a log: the words that hold a token
// are left out, also of a path that some BMC has spoilt.
func withoutToken(path string) string {
	if attempt, _, ok := mediumKey(path); ok && strings.HasPrefix(path, mediumPrefix) {
		return mediumPrefix + string(attempt) + "-..." + mediumSuffix
	}
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return path
	}
	switch "/" + strings.ToLower(parts[1]) {
	case strings.TrimSuffix(mediumPrefix, "/"):
		return mediumPrefix + "..."
	case api.ScoutRoot, api.AttemptRoot:
		if len(parts) > 3 {
			parts[3] = "..."
		}
	}
	return strings.Join(parts, "/")
}
