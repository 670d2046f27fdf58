package manifest

import "strings"

// field is what a column means.
type field int

const (
	unused field = iota
	serial
	mac
	uuid
	name
	profileName
	image
	handoff
	erase
	after
	installDisk
	transport

	bmcAddress
	bmcMAC
	bmcUser
	bmcPassword
	bmcNewPassword
	bmcFingerprint
	bmcSystem
	bmcDriver

	address
	prefix
	gateway
	dns
	vlan
	netMAC
)

// several tells whether a field may have several columns.
func (f field) several() bool { return f == mac || f == dns }

// identifies tells whether a field can say which host a row is.
func (f field) identifies() bool {
	return f == serial || f == mac || f == uuid || f == bmcAddress || f == bmcMAC
}

// fieldOf understands the headings that people and exports of vendors use; it
// looks at letters and digits only.
func fieldOf(heading string) field {
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(heading))
	if f := hostField(letters); f != unused {
		return f
	}
	if f := networkField(letters); f != unused {
		return f
	}
	return controllerField(letters)
}

func hostField(letters string) field {
	switch letters {
	case "serial", "serialnumber", "serialno", "sn", "systemserial", "systemserialnumber", "servicetag":
		return serial
	case "uuid", "systemuuid", "smbiosuuid", "guid", "systemguid":
		return uuid
	case "name", "host", "hostname":
		return name
	case "profile":
		return profileName
	case "image":
		return image
	case "handoff":
		return handoff
	case "erase":
		return erase
	case "after":
		return after
	case "installdisk", "disk":
		return installDisk
	case "transport":
		return transport
	}
	switch strings.TrimRight(letters, "0123456789") {
	case "mac", "macs", "macaddress", "macaddresses", "macaddr", "nicmac", "bootmac", "pxemac":
		return mac
	}
	return unused
}

// networkField understands the columns of a host's own address.
func networkField(letters string) field {
	switch letters {
	case "address", "ip", "ipaddress", "ipv4", "ipv4address", "ipv6", "ipv6address", "hostip", "hostaddress", "staticip", "staticaddress":
		return address
	case "prefix", "prefixlength", "netmask", "subnetmask", "mask":
		return prefix
	case "gateway", "gw", "defaultgateway", "defaultgw", "router":
		return gateway
	case "vlan", "vlanid", "vlantag", "vid":
		return vlan
	case "netmac", "networkmac", "portmac", "staticmac":
		return netMAC
	}
	switch strings.TrimRight(letters, "0123456789") {
	case "dns", "dnsserver", "dnsservers", "nameserver", "nameservers":
		return dns
	}
	return unused
}

// controllerField understands the columns of a BMC, which sheets call by the
// product of the maker, before or behind what it is of it: "iDRAC IP", "MAC
// (BMC)".
func controllerField(letters string) field {
	for _, product := range []string{"bmc", "ipmi", "idrac", "ilo", "xcc", "cimc", "irmc", "ibmc", "redfish", "oob", "outofband", "mgmt", "management"} {
		what, ok := strings.CutPrefix(letters, product)
		if !ok {
			what, ok = strings.CutSuffix(letters, product)
		}
		if !ok {
			continue
		}
		switch what {
		case "address", "ip", "ipaddress", "ipv4", "ipv4address", "ipv6", "ipv6address", "host", "hostname", "fqdn", "url":
			return bmcAddress
		case "mac", "macaddress", "macaddr":
			return bmcMAC
		case "user", "username", "userid", "login", "account":
			return bmcUser
		case "password", "passwd", "pass", "pwd", "pw":
			return bmcPassword
		case "newpassword", "newpasswd", "newpass", "newpwd", "newpw":
			return bmcNewPassword
		case "fingerprint", "certificate", "certificatefingerprint", "certfingerprint":
			return bmcFingerprint
		case "system", "systemid":
			return bmcSystem
		case "driver", "protocol":
			return bmcDriver
		}
	}
	return unused
}
