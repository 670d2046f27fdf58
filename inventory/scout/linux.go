package scout

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/inband"
)

// linux is the hands of a scout that is the first process of a host.
type linux struct {
	root    fs.FS
	params  Params
	network *network
	drivers *loader
	client  *http.Client
	write   WriteFunc
}

// Look loads drivers of what has appeared since, lets ports find link, and
// reads.
func (l *linux) Look(ctx context.Context, contents bool) inventory.Report {
	_, _ = l.drivers.coldplug() // what fails is in l.drivers.failed
	settled := l.network.settle(ctx)
	kernel, err := kernelLog()
	o := inband.Options{
		Now:       time.Now(),
		Boot:      l.bootPort().String(),
		Addresses: map[string]string{l.network.on.name: l.network.lease.address.Addr().String()},
		Ports:     inband.KernelPorts{},
		KernelLog: kernel,
	}
	if contents {
		o.Contents = inband.BlockDevices{Dir: "/dev"}
	}
	r := inband.Read(l.root, o)
	r.Firmware.Medium = l.params.Medium
	for _, err := range []error{settled, err} {
		if err != nil {
			r.Problems = append(r.Problems, err.Error()+".")
		}
	}
	r.Problems = append(r.Problems, l.drivers.failed...)
	return r
}

// bootPort is the port that the firmware booted from. From a CD it used none, and
// the one that leads to muster is what an installer must use.
func (l *linux) bootPort() net.HardwareAddr {
	if l.params.Medium {
		return l.network.on.mac
	}
	return l.params.Boot
}

func (l *linux) Load(ctx context.Context, n inventory.Netboot, say func(string)) error {
	b := netboot{client: l.client, free: freeMemory}
	if mac := l.network.on.mac; mac != nil {
		b.boot = bootif(mac)
	}
	return b.load(ctx, n, say)
}

func (l *linux) Unload() { unloadKernel() }

// Disk loads drivers of what has appeared since, and looks.
func (l *linux) Disk(_ context.Context, w inventory.Write) (string, error) {
	_, _ = l.drivers.coldplug() // a disk whose driver fails is missed below
	d, err := chooseDisk(inband.Read(l.root, inband.Options{}).Disks, w)
	return path.Join("/dev", d.Name), err
}

func (l *linux) Write(ctx context.Context, disk string, w inventory.Write, progress func(string, int64, int64)) error {
	return l.write(ctx, disk, w, progress)
}

func (l *linux) Jump() error     { return restart(unix.LINUX_REBOOT_CMD_KEXEC) }
func (l *linux) Reboot() error   { return restart(unix.LINUX_REBOOT_CMD_RESTART) }
func (l *linux) PowerOff() error { return restart(unix.LINUX_REBOOT_CMD_POWER_OFF) }

func (l *linux) BootAgain() error { return bootAgain(efivarsDir) }

func (l *linux) KeepAddress(ctx context.Context) error { return l.network.keep(ctx) }

func (l *linux) SetClock(t time.Time) (bool, error) { return setClock(t) }
