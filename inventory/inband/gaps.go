package inband

import (
	"regexp"
	"slices"

	"github.com/muster-boot/muster/inventory"
)

// FirmwareGaps finds in the kernel's messages the blobs that drivers asked for
// and did not get, each once. Two forms are known: that of Debian's kernels,
//
//	bnx2x 0000:03:00.0: firmware: failed to load bnx2x/e2.fw (-2)
//
// and that of all kernels,
//
//	bnx2x 0000:03:00.0: Direct firmware load for bnx2x/e2.fw failed with error -2
//
// Other errors than -2 (no such file) are gaps too: the driver did not get it.
func FirmwareGaps(lines []string) []inventory.FirmwareGap {
	forms := []*regexp.Regexp{
		regexp.MustCompile(`^(\S+) (.+?): firmware: failed to load (\S+) \(-\d+\)`),
		regexp.MustCompile(`^(\S+) (.+?): Direct firmware load for (\S+) failed with error -\d+`),
	}
	var gaps []inventory.FirmwareGap
	for _, line := range lines {
		for _, form := range forms {
			m := form.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			g := inventory.FirmwareGap{Driver: m[1], Device: m[2], Blob: m[3]}
			if !slices.Contains(gaps, g) {
				gaps = append(gaps, g)
			}
		}
	}
	return gaps
}
