// Package lab makes a small provisioning site on one Linux machine: networks
// in namespaces of their own, and hosts that are QEMU processes with real
// firmware (SeaBIOS or OVMF), real boot order and real disks.
//
// It serves tests, the demo and the bench, and nothing else imports it. It
// does not shorten the way a host boots: a host gets firmware and devices
// only, never a kernel, an initrd, a command line or a guest agent from
// outside. It has no uplink, touches no interface that it did not make, and
// leaves nothing behind however its process ends. It needs root, and says so.
//
// A host may have an emulated BMC at an address of its own ([Spec.BMC]), and
// then goes on and off, boots and finds media as the BMC says; a host of paper
// ([Lab.AddPaper]) is the BMC and its conversations alone.
//
// Start at [Open] (in a test: [ForTest]), then [Lab.AddHost] and
// [Host.PowerOn]. What `make lab` fetched and built is found by [KernelDeb],
// [Appliance], [CloudImage] and [DebianInstaller].
package lab
