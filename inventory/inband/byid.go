package inband

import (
	"path"
	"slices"
	"strings"
)

// identity is what makes a disk that disk, and the properties from which udev
// makes its names. Keys are udev's own, as in 60-persistent-storage.rules.
type identity struct {
	model, serial, wwid, firmware, transport string

	kind  string // of kindOf
	props map[string]string
}

// link is one rule of 60-persistent-storage.rules (udev 252, Debian 12) that
// adds a name under /dev/disk/by-id to a whole disk. A {KEY} stands for that
// property; a rule with a missing property gives no name.
type link struct{ kind, name string }

// links is the rules in the order of our preference: names that tell model and
// serial first, since a person can hold them against the label on the disk.
// What udev calls obsolete here, because two namespaces of one NVMe controller
// share it, is safe: shared names are dropped, see dropShared.
func links() []link {
	return []link{
		{"nvme", "nvme-{ID_MODEL}_{ID_SERIAL_SHORT}"},
		{"nvme", "nvme-{WWID}"},
		{"nvme", "nvme-{ID_MODEL}_{ID_SERIAL_SHORT}_{ID_NSID}"},
		{"vd", "virtio-{ID_SERIAL}"},
		{"sd", "{ID_BUS}-{ID_SERIAL}"},
		{"sd", "usb-{ID_USB_SERIAL}"},
		{"sd", "wwn-{ID_WWN_WITH_EXTENSION}"},
		{"mmc", "mmc-{ID_NAME}_{ID_SERIAL}"},
	}
}

// names is the names that udev gives this disk, best first, without the
// directory.
func (id identity) names() []string {
	var list []string
	for _, l := range links() {
		if l.kind != id.kind {
			continue
		}
		if n, ok := expand(l.name, id.props); ok && !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// expand puts properties into a name, the way udev does in SYMLINK: runs of
// white space in a property become one "_", and what may not stand in a path
// becomes "_" each. A slash may: such a serial makes a directory.
func expand(name string, props map[string]string) (string, bool) {
	var b strings.Builder
	for name != "" {
		before, rest, ok := strings.Cut(name, "{")
		b.WriteString(before)
		if !ok {
			break
		}
		key, after, _ := strings.Cut(rest, "}")
		if props[key] == "" {
			return "", false
		}
		b.WriteString(replaceWhitespace(props[key]))
		name = after
	}
	parts := strings.Split(b.String(), "/")
	for i, p := range parts {
		parts[i] = replaceChars(p)
	}
	return strings.Join(parts, "/"), true
}

// replaceWhitespace is udev's function of that name: outer white space goes,
// an inner run becomes one "_".
func replaceWhitespace(s string) string {
	return strings.Join(strings.FieldsFunc(s, isSpace), "_")
}

func isSpace(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) }

// replaceChars is udev's function of that name: ASCII letters, digits and
// "#+-.:=@_" stay, as does valid UTF-8; anything else becomes "_".
func replaceChars(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x80 && r != '\uFFFD',
			r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z',
			strings.ContainsRune("#+-.:=@_", r):
			return r
		}
		return '_'
	}, s)
}

// identity reads a disk's properties by the family of its name.
func (t *tree) identity(name, dir string) identity {
	id := identity{kind: kindOf(name), props: map[string]string{}}
	switch id.kind {
	case "nvme":
		t.nvme(&id, dir)
	case "vd":
		id.serial, id.transport = t.text(dir, "serial"), "virtio"
		id.props["ID_SERIAL"] = id.serial
	case "mmc":
		id.model, id.serial, id.transport = t.text(dir, "device/name"), t.text(dir, "device/serial"), "mmc"
		id.props["ID_NAME"], id.props["ID_SERIAL"] = id.model, id.serial
	case "sd":
		t.scsi(&id, dir)
	case "xvd":
		id.transport = "xen"
	}
	return id
}

// nvme reads the namespace, and its controller above it. The rule's string
// escape turns every single space of model and serial into "_".
func (t *tree) nvme(id *identity, dir string) {
	*id = identity{
		kind: id.kind, transport: "nvme",
		model: t.text(dir, "device/model"), serial: t.text(dir, "device/serial"),
		firmware: t.text(dir, "device/firmware_rev"), wwid: t.text(dir, "wwid"),
	}
	id.props = map[string]string{
		"WWID": id.wwid, "ID_NSID": t.text(dir, "nsid"),
		"ID_MODEL": replaceChars(id.model), "ID_SERIAL_SHORT": replaceChars(id.serial),
	}
}

// scsi reads everything that the SCSI layer shows as sd: SCSI and SAS disks,
// and through translation SATA and USB ones.
func (t *tree) scsi(id *identity, dir string) {
	dev := path.Join(dir, "device")
	vendor := t.rawText(dev, "vendor")
	model := t.rawText(dev, "model")
	id.model = strings.TrimSpace(strings.TrimSpace(vendor) + " " + strings.TrimSpace(model))
	id.firmware = t.text(dev, "rev")
	id.serial = unitSerial(t.bytes(dev, "vpd_pg80"))
	id.transport = transportOf(dir)
	id.wwid = t.text(dev, "wwid")
	fixedUSB := id.transport == "usb" && t.text(dir, "removable") == "0"
	if ata, ok := parseIdentify(t.bytes(dev, "vpd_pg89")); ok && (strings.TrimSpace(vendor) == "ATA" || fixedUSB) {
		id.ata(ata)
	} else if page := t.bytes(dev, "vpd_pg83"); page != nil {
		id.page83(page, vendor, model)
	}
	if id.transport == "usb" {
		t.usb(id, dir, vendor, model)
	}
}

// rawText keeps the padding that SCSI strings have, without the line's end.
func (t *tree) rawText(elem ...string) string {
	return strings.TrimSuffix(string(t.bytes(elem...)), "\n")
}

// ata is what the program ata_id exports.
func (id *identity) ata(a ataIdentity) {
	id.model, id.serial, id.firmware = strings.TrimSpace(a.model), strings.TrimSpace(a.serial), strings.TrimSpace(a.firmware)
	if id.transport != "usb" {
		id.transport = a.transport()
	}
	model, serial := replaceChars(replaceWhitespace(a.model)), replaceChars(replaceWhitespace(a.serial))
	id.props["ID_BUS"], id.props["ID_SERIAL"] = "ata", model
	if serial != "" {
		id.props["ID_SERIAL"] = model + "_" + serial
	}
	id.props["ID_WWN_WITH_EXTENSION"] = a.wwn
}

// page83 is what the program scsi_id exports.
func (id *identity) page83(page []byte, vendor, model string) {
	serial, wwn := scsiSerial(page, vendor, model)
	if serial == "" {
		return
	}
	id.props["ID_BUS"] = "scsi"
	id.props["ID_SERIAL"] = replaceChars(replaceWhitespace(serial))
	if wwn != "" {
		id.props["ID_WWN_WITH_EXTENSION"] = "0x" + wwn
	}
}

// usb is what the builtin usb_id exports for mass storage: SCSI vendor and
// model, the device's serial, and target and unit behind it.
func (t *tree) usb(id *identity, dir, vendor, model string) {
	dev := t.usbDevice(dir)
	if dev == "" {
		return
	}
	serial := t.text(dev, "serial")
	name := replaceChars(replaceWhitespace(vendor)) + "_" + replaceChars(replaceWhitespace(model))
	if serial != "" && !strings.Contains(serial, ",") {
		name += "_" + replaceChars(replaceWhitespace(serial))
	}
	if hctl := strings.Split(path.Base(t.device(dir, "device")), ":"); len(hctl) == 4 {
		name += "-" + hctl[2] + ":" + hctl[3]
	}
	if id.serial == "" {
		id.serial = serial
	}
	id.props["ID_USB_SERIAL"] = name
	if id.props["ID_BUS"] != "ata" { // ata_id ran before and keeps the bus
		id.props["ID_BUS"], id.props["ID_SERIAL"] = "usb", name
		delete(id.props, "ID_WWN_WITH_EXTENSION")
	}
}

// usbDevice is the USB device above a disk: the one that has a vendor number.
func (t *tree) usbDevice(dir string) string {
	for ; dir != "." && dir != "/"; dir = path.Dir(dir) {
		if t.exists(dir, "idVendor") {
			return dir
		}
	}
	return ""
}

// transportOf tells from a disk's place below /sys/devices how it is attached.
func transportOf(dir string) string {
	for _, w := range []struct{ has, transport string }{
		{"/usb", "usb"}, {"/end_device-", "sas"}, {"/ata", "sata"},
	} {
		if strings.Contains(dir, w.has) {
			return w.transport
		}
	}
	return "scsi"
}
