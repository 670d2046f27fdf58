#!/bin/sh
# Builds a disk image of a Debian system with cloud-init.
#
#	build.sh KERNEL.deb WORK OUTPUT
#
# KERNEL.deb is Debian's kernel package, WORK a directory for the pieces; the
# directory OUTPUT, which must be there, gets disk.raw, disk.raw.zst and
# disk.qcow2. Everything else comes from Debian's archive. The system boots by
# BIOS and UEFI from any disk, asks DHCP on every Ethernet interface, and knows
# one source of configuration: a volume with the label CIDATA. It has nothing
# beside systemd and cloud-init, and of cloud-init only what files/90_lab.cfg
# names: an emulated host waits for every program.
set -eu

kernel=$1 work=$2 output=$3
here=$(cd "$(dirname "$0")" && pwd)
files=$here/files
root=$work/root
umask 022
. "$here/../modules.sh"

# The disk, in sectors of 512 bytes: the place of GRUB's core for BIOS, the EFI
# system partition, and the root file system, last so that it can grow.
biosStart=2048 espStart=4096 espSectors=16384 rootStart=20480

build_root() {
	set -- --variant=essential --quiet --include=systemd-sysv,udev,kmod,iproute2,cloud-init,cloud-guest-utils,fdisk,e2fsprogs
	for path in 'share/doc/*' 'share/man/*' 'share/locale/*' 'share/info/*' 'share/i18n/*' 'lib/udev/hwdb.d/*'; do
		set -- "$@" --dpkgopt="path-exclude=/usr/$path"
	done
	mmdebstrap "$@" --dpkgopt='path-exclude=/lib/udev/hwdb.d/*' bookworm "$root"
	cp -a "$work/modules/lib/modules" "$root/usr/lib/"
	cp "$work/kernel/boot/vmlinuz-$release" "$root/boot/vmlinuz"
	mkdir -p "$root/boot/grub" "$root/etc/systemd/system/systemd-networkd-wait-online.service.d" "$root/etc/systemd/journald.conf.d"
	cp "$files/grub.cfg" "$root/boot/grub/grub.cfg"
	cp "$files/90_lab.cfg" "$root/etc/cloud/cloud.cfg.d/90_lab.cfg"
	cp "$files/90-dhcp.network" "$root/etc/systemd/network/90-dhcp.network"
	printf '[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online --any\n' \
		>"$root/etc/systemd/system/systemd-networkd-wait-online.service.d/any.conf"
	printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/volatile.conf"
	printf 'LABEL=cloud-root / ext4 noatime 0 0\n' >"$root/etc/fstab"
	echo cloud >"$root/etc/hostname"
	: >"$root/etc/machine-id" # a new one at each boot; "uninitialized" would set all units anew
	services
}

# services turns on the network and off what only costs time.
services() {
	chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-networkd-wait-online.service
	chroot "$root" systemctl --quiet mask \
		getty@tty1.service serial-getty@ttyS0.service e2scrub_reap.service e2scrub_all.timer fstrim.timer \
		dpkg-db-backup.timer systemd-pstore.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
		systemd-hwdb-update.service systemd-machine-id-commit.service systemd-journal-flush.service \
		systemd-binfmt.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
		cloud-init-hotplugd.socket modprobe@configfs.service modprobe@drm.service modprobe@fuse.service
}

build_initrd() {
	initrd=$work/initrd
	mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/proc" "$initrd/sys" "$initrd/run" "$initrd/root"
	cp "$(command -v busybox)" "$initrd/bin/busybox"
	"$initrd/bin/busybox" --list | while read -r name; do
		[ "$name" = busybox ] || ln -s busybox "$initrd/bin/$name"
	done
	ln -s bin "$initrd/sbin" # the kernel calls /sbin/modprobe
	cp -a "$work/modules/lib" "$initrd/lib"
	install -m 755 "$files/init" "$initrd/init"
	(cd "$initrd" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | zstd -q -10 -T0 >"$root/boot/initrd"
}

# loaders makes GRUB for both firmwares, with what leads it to the root.
loaders() {
	printf 'search --no-floppy --label --set=root cloud-root\nconfigfile /boot/grub/grub.cfg\n' >"$work/early.cfg"
	grub-mkimage -O i386-pc -p /boot/grub -c "$work/early.cfg" -o "$work/core.img" \
		biosdisk part_gpt ext2 search search_label normal configfile linux echo
	grub-mkimage -O x86_64-efi -p /boot/grub -c "$work/early.cfg" -o "$work/BOOTX64.EFI" \
		part_gpt fat ext2 search search_label normal configfile linux echo
	truncate -s $((espSectors * 512)) "$work/esp.img"
	mformat -i "$work/esp.img" -v ESP ::
	mmd -i "$work/esp.img" ::/EFI ::/EFI/BOOT
	mcopy -i "$work/esp.img" "$work/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
}

# write_at lays standard input over the disk, from a byte on.
write_at() {
	dd of="$disk" bs=64k oflag=seek_bytes seek="$1" conv=notrunc status=none
}

# build_disk makes a disk with some room in its root. GRUB's two pieces for BIOS
# find each other by their sectors: boot.S and diskboot.S of GRUB 2.06.
build_disk() {
	disk=$output/disk.raw
	mib=$(($(du -sm "$root" | cut -f1) * 5 / 4 + 64))
	rm -f "$disk"
	truncate -s $(((rootStart + 2048) * 512 + mib * 1048576)) "$disk"
	sfdisk --quiet "$disk" <<-END
		label: gpt
		start=$biosStart, size=2048, type=21686148-6449-6E6F-744E-656564454649, name=bios
		start=$espStart, size=$espSectors, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
		start=$rootStart, size=$((mib * 2048)), type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=root
	END
	mkfs.ext4 -q -F -m 0 -L cloud-root -d "$root" -E offset=$((rootStart * 512)) "$disk" $((mib * 1024))k
	write_at $((espStart * 512)) <"$work/esp.img"
	head -c 440 /usr/lib/grub/i386-pc/boot.img | write_at 0
	write_at $((biosStart * 512)) <"$work/core.img"
	printf '\000\010\000\000\000\000\000\000' | write_at $((0x5c))
	printf '\001\010\000\000\000\000\000\000' | write_at $((biosStart * 512 + 500))
}

collect_modules "$kernel" "$files/modules" "$work"
build_root
build_initrd
loaders
build_disk
zstd -q -6 -T0 -f "$output/disk.raw" -o "$output/disk.raw.zst"
qemu-img convert -q -O qcow2 -c "$output/disk.raw" "$output/disk.qcow2"
