package discover

import "strings"

// Hint is what a DHCP vendor class says of who asks.
type Hint struct {
	Vendor string
	Kind   string
}

// ByVendorClass reads option 60 (RFC 2132 §9.13) of a DHCP request. ok is false
// for who is no known BMC; most vendors' send nothing that tells. It is a hint
// for people: what a BMC is, its service root says.
func ByVendorClass(class string) (h Hint, ok bool) {
	for _, known := range []struct {
		prefix string
		hint   Hint
	}{
		{"iDRAC", Hint{"Dell", "iDRAC"}},
		{"LifecycleController", Hint{"Dell", "iDRAC of old firmware"}},
		{"CPQRIB3", Hint{"HPE", "iLO"}}, // a suffix names the product
		{"NVIDIA/BF/BMC", Hint{"NVIDIA", "BlueField BMC"}},
		{"NVIDIA/OOB", Hint{"NVIDIA", "BlueField management port"}},
	} {
		if strings.HasPrefix(class, known.prefix) {
			return known.hint, true
		}
	}
	return Hint{}, false
}
