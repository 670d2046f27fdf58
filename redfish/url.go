package redfish

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// checkURLs holds media URLs to the form that every BMC takes: an IP address
// (many have no name server), a path of one directory at least that ends in
// .iso, no query, less than 255 characters.
func checkURLs(urls []string) error {
	if len(urls) == 0 {
		return operator(BadTarget, "a boot from a medium needs its URL")
	}
	for _, text := range urls {
		if why := badURL(text); why != "" {
			return operator(BadTarget, fmt.Sprintf("no BMC is given %s: %s", text, why))
		}
	}
	return nil
}

func badURL(text string) string {
	const longest = 254
	u, err := url.Parse(text)
	if err != nil {
		return "it is not a URL"
	}
	_, err = netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme == "" || err != nil:
		return "its host must be an IP address"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(text, "&?#%"):
		return "it must have no query and nothing encoded"
	case u.User != nil:
		return "it must carry no user"
	case path.Clean(u.Path) != u.Path || strings.Count(u.Path, "/") < 2 || !strings.HasSuffix(u.Path, ".iso"):
		return "its path must be one directory and a file that ends in .iso"
	case len(text) > longest:
		return fmt.Sprintf("it is longer than %d characters", longest)
	}
	return ""
}
