// Command scout is the init of muster's discovery ramdisk.
//
// It holds no logic of its own, and refuses to run but as the first process of
// a ramdisk. Start at the package inventory/scout, which it joins to the way to
// the server and to what writes disk images.
package main

import (
	"github.com/muster-boot/muster/inventory/scout"
	"github.com/muster-boot/muster/provisioner/api/client"
)

// version is set at build time by -ldflags "-X main.version=...".
var version = "dev"

func main() {
	scout.Live(version, func(p scout.Params) scout.Server {
		return client.NewScout(p.Base(), p.Token, scout.HTTPClient())
	}, writeDisk)
}
