package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someFingerprint = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestHeadingsOfBMCsAndAddressesAreThoseOfSheets(t *testing.T) {
	for want, headings := range map[field]string{
		bmcAddress:     "bmc_address,BMC IP,iDRAC IP Address,iLO hostname,IPMI_IP,IP (BMC),OOB-IP,Mgmt IP,Redfish URL,Management Address",
		bmcMAC:         "bmc_mac,BMC MAC Address,iDRAC MAC,MAC (IPMI),mgmt mac",
		bmcUser:        "bmc_user,BMC Username,iLO User,IPMI login",
		bmcPassword:    "bmc_password,BMC Pass,iDRAC Password,ipmi pwd",
		bmcFingerprint: "bmc_fingerprint,BMC Certificate Fingerprint",
		bmcSystem:      "bmc_system", bmcDriver: "bmc_driver,BMC Protocol",
		address: "address,IP,IP Address,Static IP,Host IP", prefix: "prefix,Netmask,Subnet Mask",
		gateway: "gateway,Default GW,Router", dns: "dns,DNS 1,DNS Server 2,Nameservers", vlan: "vlan,VLAN ID",
		netMAC: "net_mac,Port MAC", mac: "mac,MAC 2,NIC MAC", name: "Host Name", unused: "Rack,BMC,Management,IPMI enabled,iDRAC Type",
	} {
		for heading := range strings.SplitSeq(headings, ",") {
			if got := fieldOf(heading); got != want {
				t.Errorf("%q is field %d, want %d", heading, got, want)
			}
		}
	}
}

func TestRowsAreCompletedByTheirOrder(t *testing.T) {
	order, err := ParseOrder([]byte("name: a\nprofile: p\n" +
		"bmc: {user: admin, password: \"hunter 2\", driver: redfish, fingerprint: \"" + strings.ToUpper(someFingerprint) + "\"}\n" +
		"network: {gateway: 192.0.2.1, dns: [192.0.2.2, \"2001:db8::2\"], vlan: 7, prefix: 24}\n"))
	if err != nil {
		t.Fatal(err)
	}
	in := "bmc_address,bmc_mac,bmc_user,bmc_password,bmc_system,bmc_driver,serial,address,prefix,gateway,dns 1,dns 2,vlan,net_mac\n" +
		"https://10.0.0.1/,,,,,,,192.0.2.10,,,,,,\n" + // all from the order
		"10.0.0.2:8443,525400000102,ADMIN,own,,IPMI,,198.51.100.9/25,,198.51.100.1,198.51.100.2 198.51.100.3,198.51.100.2,8,525400000103\n" +
		",52-54-00-00-01-04,,unit,,,,,,,,,9,\n" + // the order's user with its own password
		"BMC.Plant.example,,root,,,,,,,,,,,\n" + // no guess of the order's password at another account
		"fd00::9,,,,2,,S6,,,,,,,\n" +
		",,,,,,S7,,,,,,,\n"
	rows, warnings, err := ReadCSV(strings.NewReader(in), order.Defaults())
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %v", err, warnings)
	}
	want := []Row{
		{Line: 2, BMC: BMC{Address: "10.0.0.1", User: "admin", Password: "hunter 2", Driver: Redfish, Fingerprint: someFingerprint},
			Static: Static{Address: "192.0.2.10/24", Gateway: "192.0.2.1", DNS: []string{"192.0.2.2", "2001:db8::2"}, VLAN: 7}},
		{Line: 3, BMC: BMC{Address: "10.0.0.2:8443", MAC: "52:54:00:00:01:02", User: "ADMIN", Password: "own", Driver: IPMI},
			Static: Static{Address: "198.51.100.9/25", Gateway: "198.51.100.1", DNS: []string{"198.51.100.2", "198.51.100.3"}, VLAN: 8, MAC: "52:54:00:00:01:03"}},
		{Line: 4, BMC: BMC{MAC: "52:54:00:00:01:04", User: "admin", Password: "unit", Driver: Redfish, Fingerprint: someFingerprint}, Static: Static{VLAN: 9}},
		{Line: 5, BMC: BMC{Address: "bmc.plant.example", User: "root", Driver: Redfish, Fingerprint: someFingerprint}},
		{Line: 6, Serial: "S6", BMC: BMC{Address: "fd00::9", User: "admin", Password: "hunter 2", System: "2", Driver: Redfish, Fingerprint: someFingerprint}},
		{Line: 7, Serial: "S7"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNetmasksArePrefixLengths(t *testing.T) {
	for text, want := range map[string]int{
		"24": 24, "/26": 26, "255.255.255.0": 24, "255.255.255.255": 32, "128.0.0.0": 1, "64": 64,
		"255.0.255.0": 0, "0.0.0.0": 0, "0": 0, "129": 0, "-1": 0, "": 0, "24.5": 0,
	} {
		got, ok := prefixLength(text)
		if ok != (want != 0) || ok && got != want {
			t.Errorf("%q is %d, %t; want %d", text, got, ok, want)
		}
	}
}

func TestWrongCellsOfBMCsAndAddressesAreNamed(t *testing.T) {
	const bmc, net = "serial,bmc_address,bmc_mac,bmc_user,bmc_password,bmc_fingerprint,bmc_system,bmc_driver", "serial,mac,bmc_address,bmc_mac,address,netmask,gateway,dns,vlan,net_mac"
	for _, c := range []struct{ name, in, want string }{
		{"an address that is none", bmc + "\nA1,10.0.0.300,,,,,,", `line 2, column "bmc_address": "10.0.0.300" is not the address of a BMC; write an IP address or a name, with :port if it is not the usual one`},
		{"a page of a BMC", bmc + "\nA1,https://10.0.0.3/login.html,,,,,,", `line 2, column "bmc_address": "https://10.0.0.3/login.html" is not the address`},
		{"port 0", bmc + "\nA1,10.0.0.3:0,,,,,,", `line 2, column "bmc_address"`},
		{"a MAC that is none", bmc + "\nA1,,5254,,,,,", `line 2, column "bmc_mac": "5254" is not the MAC`},
		{"no BMC for the user", bmc + "\nA1,,,root,x,,,", `line 2, column "bmc_address": the row says how its BMC is entered, but not where it is; give its address or its MAC`},
		{"a password without a user", bmc + "\nA1,10.0.0.3,,,hunter2,,,", `line 2, column "bmc_password": a password stands here and no user; give a column bmc_user, or bmc: {user: ...} in the order`},
		{"a password that a sheet rounded", bmc + "\nA1,10.0.0.3,,root,1.2E+11,,,", `line 2, column "bmc_password": a spreadsheet has taken this password for a number and rounded it; format the column as text and enter it again`},
		{"a password over two lines", bmc + "\nA1,10.0.0.3,,root,\"hun\nter2\",,,", `line 2, column "bmc_password": the password holds a line end`},
		{"a password too long for IPMI", bmc + "\nA1,10.0.0.3,,root,hunter2hunter2hunter2,,,ipmi", `line 2, column "bmc_password": the password has 21 bytes; IPMI takes at most 20`},
		{"a user too long for IPMI", bmc + "\nA1,10.0.0.3,,rootrootrootroot1,,,,ipmi", `line 2, column "bmc_user": "rootrootrootroot1" is too long for IPMI, which takes 16 bytes`},
		{"a certificate of IPMI", bmc + "\nA1,10.0.0.3,,,," + someFingerprint + ",,ipmi", `line 2, column "bmc_fingerprint": a BMC with driver ipmi shows no certificate; leave this cell empty`},
		{"a fingerprint that is none", bmc + "\nA1,10.0.0.3,,,,ab:cd,,", `line 2, column "bmc_fingerprint": "ab:cd" is no fingerprint`},
		{"a driver that is none", bmc + "\nA1,10.0.0.3,,,,,,amt", `line 2, column "bmc_driver": "amt" is neither redfish nor ipmi`},
		{"one BMC for two hosts", bmc + "\nA1,10.0.0.3,,,,,,\nB1,https://10.0.0.3,,,,,1,", `line 3, column "bmc_address": "10.0.0.3" already stands in line 2; where one BMC has several hosts, name the system of each in a column bmc_system`},
		{"one system for two hosts", bmc + "\nA1,10.0.0.3,,,,,1,\nB1,10.0.0.3,,,,,1,", `line 3, column "bmc_system": "1" of 10.0.0.3 already stands in line 2`},
		{"one BMC MAC for two hosts", bmc + "\nA1,,525400000001,,,,,\nB1,,525400000001,,,,,", `line 3, column "bmc_mac": "52:54:00:00:00:01" already stands in line 2; where`},
		{"a BMC with a host's MAC", net + "\nA1,525400000001,,,,,,,,\nB1,,,525400000001,,,,,,", `line 3, column "bmc_mac": "52:54:00:00:00:01" is a MAC of the host in line 2; a BMC has its own`},
		{"a BMC at a host's address", net + "\nA1,,,,10.0.0.3/24,,,,,\nB1,,10.0.0.3:443,,,,,,,", `line 3, column "bmc_address": "10.0.0.3:443" is the address of the host in line 2; a BMC has its own`},
		{"no address", net + "\nA1,,,,,,10.0.0.1,,,", `line 2, column "address": the row has a prefix, gateway or name server and no address; give the address too, or leave them out`},
		{"no prefix", net + "\nA1,,,,10.0.0.3,,,,,", `line 2, column "address": 10.0.0.3 has no prefix length; write it like 10.0.0.3/24, give a column prefix or netmask, or network: {prefix: 24} in the order`},
		{"two prefixes", net + "\nA1,,,,10.0.0.3/24,255.255.0.0,,,,", `line 2, column "netmask": the prefix length is 16 here and 24 in another cell of the row; keep one`},
		{"a prefix that is too long", net + "\nA1,,,,10.0.0.3/33,,,,,", `line 2, column "netmask": 33 bits are too many for the prefix of 10.0.0.3`},
		{"no netmask", net + "\nA1,,,,10.0.0.3,255.0.255.0,,,,", `line 2, column "netmask": "255.0.255.0" is neither a prefix length nor a netmask; write 24 or 255.255.255.0`},
		{"the network's address", net + "\nA1,,,,10.0.0.0/24,,,,,", `line 2, column "address": 10.0.0.0 is the network or broadcast address of 10.0.0.0/24; no host can have it`},
		{"the broadcast address", net + "\nA1,,,,10.0.0.255/24,,,,,", `line 2, column "address": 10.0.0.255 is the network or broadcast`},
		{"a loopback address", net + "\nA1,,,,127.0.0.3/8,,,,,", `line 2, column "address": "127.0.0.3" is an address that no host can have`},
		{"no IP address", net + "\nA1,,,,dhcp,,,,,", `line 2, column "address": "dhcp" is not an IP address; write it like 192.0.2.10`},
		{"a gateway elsewhere", net + "\nA1,,,,10.0.0.3/24,,10.0.1.1,,,", `line 2, column "gateway": gateway 10.0.1.1 is not in 10.0.0.0/24, the network of 10.0.0.3`},
		{"the host as its gateway", net + "\nA1,,,,10.0.0.3/24,,10.0.0.3,,,", `line 2, column "gateway": 10.0.0.3 is the host's own address`},
		{"a name server that is none", net + "\nA1,,,,10.0.0.3/24,,,ns.example,,", `line 2, column "dns": "ns.example" is not an IP address`},
		{"VLAN 4095", net + "\nA1,,,,10.0.0.3/24,,,,4095,", `line 2, column "vlan": "4095" is no VLAN; they go from 1 to 4094`},
		{"a port without a MAC", net + "\nA1,,,,10.0.0.3/24,,,,,eth0", `line 2, column "net_mac": "eth0" is not the MAC`},
		{"an address twice", net + "\nA1,,,,10.0.0.3/24,,,,,\nB1,,,,10.0.0.3/25,,,,,", `line 3, column "address": "10.0.0.3" already stands in line 2`},
	} {
		rows, _, err := ReadCSV(strings.NewReader(c.in+"\n"), Defaults{})
		problems, _ := err.(Problems)
		if rows != nil || len(problems) != 1 || !strings.HasPrefix(problems[0].String(), c.want) {
			t.Errorf("%s: %v, want\n%s", c.name, err, c.want)
		}
		if strings.Contains(fmt.Sprint(err), "hunter") {
			t.Errorf("%s: the password is told: %v", c.name, err)
		}
	}
}

func TestOneBMCMayHaveSeveralHosts(t *testing.T) {
	rows, _, err := ReadCSV(strings.NewReader("bmc_address,bmc_system\n10.0.0.3,Node1\n10.0.0.3,Node2\n"), Defaults{})
	if err != nil || len(rows) != 2 || rows[1].BMC.System != "Node2" {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestWhatAnUnreadableOrderMayAddIsNotMissed(t *testing.T) {
	_, _, err := ReadCSV(strings.NewReader("serial,address,bmc_address,bmc_password\nA1,10.0.0.3,10.0.0.4,x\n"), Defaults{Unread: true})
	if err != nil {
		t.Error(err)
	}
}

// TestTheOrdersNewPasswordIsForItsUserAndForRedfishAlone: IPMI demands none.
func TestTheOrdersNewPasswordIsForItsUserAndForRedfishAlone(t *testing.T) {
	order := Defaults{BMC: BMCDefaults{User: "root", Password: "old", NewPassword: "all"}}
	rows, _, err := ReadCSV(strings.NewReader("bmc_address,bmc_user,BMC New Password,bmc_driver\n10.0.0.1,,,\n10.0.0.2,,own,\n10.0.0.3,admin,,\n10.0.0.4,,,ipmi\n"), order)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, want := range []Secret{"all", "own", "", ""} {
		if got := rows[i].BMC.NewPassword; got != want {
			t.Errorf("row %d has %q", i, string(got))
		}
	}
	_, _, err = ReadCSV(strings.NewReader("bmc_address,bmc_user,bmc_new_password,bmc_driver\n10.0.0.4,root,x,ipmi\n"), Defaults{})
	if err == nil || !strings.Contains(err.Error(), "driver ipmi demands no new password") {
		t.Errorf("of a row with ipmi: %v", err)
	}
}

// TestNoPasswordIsTold gives files of which a careless reader would print the
// password, and prints all that comes of them.
func TestNoPasswordIsTold(t *testing.T) {
	for _, in := range []string{
		"serial,bmc_address,bmc_user,bmc_password\nA1,10.0.0.3,root,hunter2\n",
		"serial,bmc_address,bmc_user,bmc_password\nA1,10.0.0.3,root,x,hunter2\n", // a separator in it
		"A1,10.0.0.3,root,hunter2\nB1,10.0.0.4,root,hunter2\n",                   // no headings
		"serial,bmc_address,bmc_user,bmc_password\nA1,10.0.0.3,root,\"hunter2\n", // an open quote
		"serial,bmc_user,bmc_password\nA1,root,hunter2\n",
		"serial,bmc_address,bmc_user,bmc_new_password\nA1,10.0.0.3,root,hunter2\n",
	} {
		rows, warnings, err := ReadCSV(strings.NewReader(in), Defaults{})
		if said := fmt.Sprintf("%v %+v %#v %v %v", rows, rows, rows, warnings, err); strings.Contains(said, "hunter2") {
			t.Errorf("of %q this is said: %s", in, said)
		}
	}
	for _, in := range []string{"password: hunter2", "user: root, password: hunter2, password_file: x", "user: root, password: [hunter2]", "user: root, password: {hunter2: 1}", "user: root, password: hunter2, driver: amt"} {
		_, err := ParseOrder([]byte("name: a\nprofile: p\nbmc: {" + in + "}\n"))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("of %q this is said: %v", in, err)
		}
	}
}

func TestParseOrderNamesWhatIsWrongOfBMCsAndNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"bmc: {password_file: x}":                                       "line 3, column 6: bmc.user: name the account",
		"bmc: {user: u, driver: amt}":                                   `line 3, column 24: bmc.driver: "amt" is neither redfish nor ipmi`,
		"bmc: {user: u, fingerprint: ab}":                               `line 3, column 29: bmc.fingerprint: "ab" is no fingerprint`,
		"bmc: {user: u, password: x, password_file: y}":                 "line 3, column 44: bmc.password_file: password stands there too",
		"bmc: {user: u, new_password: x, new_password_file: y}":         "line 3, column 52: bmc.new_password_file: new_password stands there too",
		"bmc: {new_password: x}":                                        "line 3, column 6: bmc.user: name the account",
		"bmc: {user: u, password: 0123}":                                "line 3, column 26: put this value in quotes",
		"network: {gateway: here}":                                      `line 3, column 20: network.gateway: "here" is not an IP address`,
		"network: {dns: [192.0.2.2, 0.0.0.0]}":                          `line 3, column 16: network.dns: "0.0.0.0" is an address that no host can have`,
		"network: {vlan: 5000}":                                         `line 3, column 17: network.vlan: "5000" is no VLAN`,
		"network: {prefix: 200}":                                        "line 3, column 19: network.prefix: 200 is no prefix length",
		"bmc: {user: u, password: xxxxxxxxxxxxxxxxxxxxx, driver: ipmi}": "line 3, column 26: bmc.password: the password has 21 bytes",
	} {
		_, err := ParseOrder([]byte("name: a\nprofile: p\n" + in + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "read order: "+want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}
