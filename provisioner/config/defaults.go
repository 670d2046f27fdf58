package config

// minimal is the smallest file that muster starts with; a refusal quotes it.
const minimal = `networks:
  - interface: eth1                  # the interface that the hosts are on
    pool: 10.0.0.100-10.0.0.200      # addresses that they may get
`

// defaults is what a file says by saying nothing.
func defaults() file {
	return file{
		Data: "/var/lib/muster",
		Log:  "info",
		Site: site{TimeZone: "UTC"},
		Boot: boot{Port: 8067, HTTPSPort: 8068},
		Deadlines: deadlines{
			Discover: "10m",
			Verify:   "10m",
			Install:  "30m",
			Register: "15m",
		},
		PowerOn: powerOn{Hosts: 8, Every: "10s"},
	}
}

// networkDefaults completes one network.
func networkDefaults(n network) network {
	if n.DHCP == "" {
		n.DHCP = string(DHCPFull)
	}
	if n.Unknown == "" {
		n.Unknown = string(UnknownSilent)
	}
	if n.Loader == "" {
		n.Loader = string(LoaderAuto)
	}
	if n.RouterAdvertisements == nil {
		yes := true
		n.RouterAdvertisements = &yes
	}
	return n
}
