package profile

import (
	"encoding"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/strictyaml"
)

// MemorySize is bytes, written only in GiB or TiB: makers of memory who print
// "64 GB" mean GiB, and a profile must not depend on who read it how.
type MemorySize inventory.Bytes

// DiskSize is bytes, written only in GB or TB, which makers of disks mean as
// powers of ten.
type DiskSize inventory.Bytes

// Speed is megabits per second, written in Mbps or Gbps.
type Speed int

const (
	gib = 1 << 30
	tib = 1 << 40
	gb  = 1_000_000_000
	tb  = 1_000_000_000_000
)

// The three types read and print themselves the same way in YAML and in JSON.
var (
	_ encoding.TextUnmarshaler = (*MemorySize)(nil)
	_ encoding.TextUnmarshaler = (*DiskSize)(nil)
	_ encoding.TextUnmarshaler = (*Speed)(nil)
)

// UnmarshalText refuses everything but a number with GiB or TiB.
func (m *MemorySize) UnmarshalText(text []byte) error {
	n, err := quantity(string(text), "memory is given in GiB or TiB, for example 8GiB", unit{"GiB", gib}, unit{"TiB", tib})
	*m = MemorySize(n)
	return err
}

// UnmarshalText refuses everything but a number with GB or TB.
func (d *DiskSize) UnmarshalText(text []byte) error {
	n, err := quantity(string(text), "disk sizes are given in GB or TB, for example 100GB", unit{"GB", gb}, unit{"TB", tb})
	*d = DiskSize(n)
	return err
}

// UnmarshalText refuses everything but a number with Mbps or Gbps.
func (s *Speed) UnmarshalText(text []byte) error {
	n, err := quantity(string(text), "speed is given in Mbps or Gbps, for example 10Gbps", unit{"Mbps", 1}, unit{"Gbps", 1000})
	*s = Speed(n)
	return err
}

// UnmarshalYAML keeps the place of a wrong value.
func (m *MemorySize) UnmarshalYAML(n ast.Node) error { return strictyaml.Text(n, m) }

// UnmarshalYAML keeps the place of a wrong value.
func (d *DiskSize) UnmarshalYAML(n ast.Node) error { return strictyaml.Text(n, d) }

// UnmarshalYAML keeps the place of a wrong value.
func (s *Speed) UnmarshalYAML(n ast.Node) error { return strictyaml.Text(n, s) }

// MarshalText is exact: what it prints reads back as the same number of bytes.
func (m MemorySize) MarshalText() ([]byte, error) {
	if m > 0 && m%tib == 0 {
		return fmt.Appendf(nil, "%dTiB", m/tib), nil
	}
	return append(strconv.AppendFloat(nil, float64(m)/gib, 'f', -1, 64), "GiB"...), nil
}

// MarshalText is exact: what it prints reads back as the same number of bytes.
func (d DiskSize) MarshalText() ([]byte, error) {
	if d > 0 && d%tb == 0 {
		return fmt.Appendf(nil, "%dTB", d/tb), nil
	}
	return append(strconv.AppendFloat(nil, float64(d)/gb, 'f', -1, 64), "GB"...), nil
}

// MarshalText is exact.
func (s Speed) MarshalText() ([]byte, error) {
	if s > 0 && s%1000 == 0 {
		return fmt.Appendf(nil, "%dGbps", s/1000), nil
	}
	return fmt.Appendf(nil, "%dMbps", s), nil
}

// String is for sentences: two decimals at most.
func (m MemorySize) String() string { return humane(float64(m), gib, "GiB", "TiB", 1024) }

// String is for sentences: two decimals at most.
func (d DiskSize) String() string { return humane(float64(d), gb, "GB", "TB", 1000) }

func (s Speed) String() string {
	if s >= 1000 {
		return humane(float64(s), 1000, "Gbit/s", "Tbit/s", 1000)
	}
	return strconv.Itoa(int(s)) + " Mbit/s"
}

// humane prints n in units of one, or in the larger unit from step of them on.
// What would print as "0.00" is given in bytes.
func humane(n, one float64, small, large string, step float64) string {
	v, name := n/one, small
	if v >= step {
		v, name = v/step, large
	}
	if n > 0 && v < 0.005 {
		return strconv.FormatFloat(n, 'f', 0, 64) + " bytes"
	}
	digits := strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
	return digits + " " + name
}

type unit struct {
	name string
	size float64
}

// quantity reads a positive number followed by one of the units, with or
// without a space between.
func quantity(text, rule string, units ...unit) (uint64, error) {
	text = strings.TrimSpace(text)
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		digits = strings.TrimSpace(digits)
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || strings.Trim(digits, "0123456789.") != "" {
			break
		}
		if n *= u.size; n < 0.5 || n >= 1<<63 {
			return 0, fmt.Errorf("%q is out of range", text)
		}
		return uint64(math.Round(n)), nil
	}
	return 0, fmt.Errorf("%q: %s", text, rule)
}
