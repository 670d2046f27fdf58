#!/bin/sh
# Builds the demo appliance's installer ISO.
#
#	build.sh APPLIANCE KERNEL.deb PACKAGES WORK OUTPUT.iso
#
# APPLIANCE is the program of this room, KERNEL.deb Debian's kernel package,
# PACKAGES a directory of .deb files, WORK a directory for the pieces. Nothing
# is installed on this machine and nothing is fetched.
set -eu

appliance=$1 kernel=$2 packages=$3 work=$4 output=$5
here=$(cd "$(dirname "$0")" && pwd)
files=$here/files
umask 022
. "$here/../modules.sh"

# unpack lays a package over a tree whose /bin, /lib and /sbin are links; plain
# dpkg-deb -x would put directories in their place.
unpack() {
	dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"
}

# tree makes the links of a merged /usr, where Debian's own layout ends up.
tree() {
	mkdir -p "$1"
	for dir in bin sbin lib lib64; do
		mkdir -p "$1/usr/$dir"
		ln -s "usr/$dir" "$1/$dir"
	done
	for dir in dev proc sys run tmp root oem mnt etc var; do
		mkdir -p "$1/$dir"
	done
}

# applets links every command of busybox that the tree does not have already.
applets() {
	"$1/bin/busybox" --list | while read -r name; do
		[ "$name" = modprobe ] || [ -e "$1/bin/$name" ] || [ -e "$1/sbin/$name" ] || ln -s /bin/busybox "$1/bin/$name"
	done
}

build_initrd() {
	root=$work/initrd
	mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/etc"
	cp "$work/root/bin/busybox" "$root/bin/busybox"
	"$root/bin/busybox" --list | while read -r name; do
		[ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
	done
	ln -s bin "$root/sbin" # the kernel calls /sbin/modprobe
	cp -a "$work/modules/lib" "$root/lib"
	install -m 755 "$files/initrd/init" "$root/init"
	install -m 755 "$files/root/usr/share/udhcpc/default.script" "$root/etc/udhcpc.script"
	(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | zstd -q -10 -T0 >"$work/iso/boot/initrd"
}

# boot_loaders makes the boot loader of the installed disk, which the installer
# only has to write: one image per firmware, both looking for the state
# partition by its label.
boot_loaders() {
	to=$work/root/usr/lib/appliance
	mkdir -p "$to"
	grub-mkimage -O i386-pc -p /boot/grub2 -c "$files/grub/disk.cfg" -o "$to/core.img" \
		biosdisk part_gpt ext2 search search_label normal configfile linux echo
	cp /usr/lib/grub/i386-pc/boot.img "$to/boot.img"
	grub-mkimage -O x86_64-efi -p /boot/grub2 -c "$files/grub/disk.cfg" -o "$to/BOOTX64.EFI" \
		part_gpt fat ext2 search search_label normal configfile linux echo
}

build_root() {
	root=$work/root
	tree "$root"
	for deb in "$packages"/*.deb; do
		unpack "$deb" "$root"
	done
	rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale" "$root/usr/share/info" \
		"$root/usr/share/bash-completion" "$root/usr/share/initramfs-tools" "$root/usr/lib/x86_64-linux-gnu/gconv" \
		"$root/usr/lib/udev/hwdb.d" "$root/etc/init.d"
	cp -a "$work/modules/lib/modules" "$root/lib/"
	cp -a "$files/root/." "$root/"
	chmod 755 "$root/etc/rc" "$root/usr/share/udhcpc/default.script"
	mkdir -p "$root/etc/udhcpc"
	ln -sf /usr/share/udhcpc/default.script "$root/etc/udhcpc/default.script"
	ln -sf /proc/self/mounts "$root/etc/mtab"
	ln -sf /run/resolv.conf "$root/etc/resolv.conf"
	install -m 755 "$appliance" "$root/usr/bin/appliance"
	ln -s appliance "$root/usr/bin/curl"
	applets "$root"
	ln -s /bin/busybox "$root/sbin/modprobe" # where the kernel calls it
	ln -sf /bin/busybox "$root/sbin/init"
	ldconfig -r "$root"
	# The tools run with the libraries that came along, or the list of packages
	# is short of one.
	for tool in "udevadm --version" "sfdisk --version" "mkfs.ext4 -V" "mkfs.vfat --help" "/lib/udev/scsi_id --version"; do
		# shellcheck disable=SC2086
		chroot "$root" $tool >/dev/null 2>"$work/complaint" || {
			cat "$work/complaint" >&2
			echo "build.sh: $tool does not run in the appliance" >&2
			exit 1
		}
	done
}

# build_cd makes the two El Torito images. The BIOS one is GRUB behind its CD
# loader, the UEFI one a FAT file system with GRUB at the fallback path.
build_cd() {
	grub-mkimage -O i386-pc -p /boot/grub2 -c "$files/grub/cd.cfg" -o "$work/core-cd.img" \
		biosdisk iso9660 search search_fs_file search_label normal configfile linux echo
	cat /usr/lib/grub/i386-pc/cdboot.img "$work/core-cd.img" >"$work/iso/boot/eltorito.img"
	grub-mkimage -O x86_64-efi -p /boot/grub2 -c "$files/grub/cd.cfg" -o "$work/BOOTX64.EFI" \
		iso9660 part_gpt part_msdos fat search search_fs_file search_label normal configfile linux echo
	truncate -s 4M "$work/iso/boot/efi.img"
	mformat -i "$work/iso/boot/efi.img" -v COS_EFI ::
	mmd -i "$work/iso/boot/efi.img" ::/EFI ::/EFI/BOOT
	mcopy -i "$work/iso/boot/efi.img" "$work/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
}

mkdir -p "$work/iso/boot/grub2"
collect_modules "$kernel" "$files/modules" "$work"
build_root
build_initrd
boot_loaders
cp "$work/kernel/boot/vmlinuz-$release" "$work/iso/boot/kernel"
mkdir -p "$work/root/boot"
cp "$work/iso/boot/kernel" "$work/iso/boot/initrd" "$work/root/boot/"
mksquashfs "$work/root" "$work/iso/rootfs.squashfs" -quiet -no-progress -all-root -comp zstd -Xcompression-level 9
build_cd
cp "$files/grub/grub.cfg" "$work/iso/boot/grub2/grub.cfg"
xorriso -as mkisofs -quiet -R -J -V COS_LIVE \
	--grub2-mbr /usr/lib/grub/i386-pc/boot_hybrid.img \
	-b boot/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
	-eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-gpt-basdat \
	-o "$output" "$work/iso" 2>"$work/complaint" || {
	cat "$work/complaint" >&2
	exit 1
}
