package bmctest

import (
	"encoding/hex"
	"fmt"
)

// Identity makes the n-th machine of this family: one value for the BMC's tree
// and for the machine's SMBIOS, with the family's own way of making a UUID.
func (p Personality) Identity(n int) Identity {
	id := Identity{
		Manufacturer: p.System.Manufacturer, Product: p.System.Model,
		Serial: fmt.Sprintf("SN%05d", n), BoardSerial: fmt.Sprintf("CNIVC%06d", n), SKU: fmt.Sprintf("868703-B%02d", n%100),
		BMCMAC: fmt.Sprintf("02:bc:00:00:%02x:%02x", n>>8&0xff, n&0xff),
		CPUs:   []CPU{{"QEMU Virtual CPU", 2, 2}},
		DIMMs:  []DIMM{{"DIMM 0", 8192, fmt.Sprintf("D%06d", n)}},
		Disks:  []Disk{{Model: "QEMU NVMe Ctrl", Serial: fmt.Sprintf("SN%05d-D0", n), Bytes: 100e9, NVMe: true}},
		NICs:   []NIC{{fmt.Sprintf("52:54:00:bc:%02x:%02x", n>>8&0xff, n&0xff), 1000}},
	}
	if id.Manufacturer == "" {
		id.Manufacturer = "QEMU" // SMBIOS always tells one
	}
	id.UUID = p.uuid(id, n)
	return id
}

func (p Personality) uuid(id Identity, n int) string {
	var b [16]byte
	switch p.Parts.UUID {
	case "tag": // Dell: its name, then the service tag
		copy(b[:], "DELL")
		copy(b[9:], id.Serial)
	case "ascii": // HPE: product number, then serial number
		copy(b[:], id.SKU[:6])
		copy(b[6:], "CZ")
		copy(b[8:], fmt.Sprintf("%08d", n))
	case "mac": // Supermicro: zeros, then the BMC's MAC
		var mac [6]byte
		_, _ = fmt.Sscanf(id.BMCMAC, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5])
		copy(b[10:], mac[:])
	default:
		copy(b[:], "muster")
		b[6], b[8] = 0x40, 0x80 // RFC 9562, version 4
		b[14], b[15] = byte(n>>8), byte(n)
	}
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
