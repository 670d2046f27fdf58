#!/bin/sh
# Makes this machine ready for the lab: installs the tools that are missing,
# fetches the packages of kernel and signed boot loaders, those of the demo
# appliance and Debian's installer, and builds the appliance's installer ISO and the cloud image.
# Everything but the tools goes to /var/cache/muster-lab, under names that carry
# the digest of what made it; a file is there whole or not at all. With nothing
# to do it takes a few seconds and no network.
#
#	setup.sh           make ready what is not
#	setup.sh --fresh   also fetch kernel and packages anew, in today's versions
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=/var/cache/muster-lab

# What the lab, the demo and the tests run: virtual machines and their
# firmware, builders of images, and other people's programs to check ours with.
tools="qemu-system-x86 qemu-utils qemu-block-extra ovmf ipxe-qemu seabios
xorriso squashfs-tools mtools kmod cpio zstd busybox-static
grub-common grub-pc-bin grub-efi-amd64-bin
iproute2 procps util-linux curl openssl mmdebstrap swtpm
gcc libc6-dev binutils fdisk gdisk dosfstools e2fsprogs xz-utils
isc-dhcp-client atftp genisoimage p7zip-full libarchive-tools isomd5sum minisign
python3 python3-yaml cloud-init debconf-utils ignition wget nginx-light dnsmasq-base
openipmi ipmitool python3-sushy redfishtool"

# What the appliance is made of beside the kernel: udev with its rules, the
# tools of its installer, and all libraries these load.
appliance="busybox-static udev fdisk dosfstools e2fsprogs
libacl1 libblkid1 libc6 libcap2 libcom-err2 libext2fs2 libfdisk1 libgcc-s1
libkmod2 liblzma5 libmount1 libncursesw6 libpcre2-8-0 libreadline8 libselinux1
libsmartcols1 libss2 libssl3 libtinfo6 libudev1 libuuid1 libzstd1"

say() { echo "lab: $*"; }

digest() { sha256sum | cut -c1-16; }

# missing prints those of the packages that are not installed.
missing() {
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
		awk -v want="$*" '$2 == "installed" { have[$1] = 1 }
			END { n = split(want, w); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

install_tools() {
	# shellcheck disable=SC2086 # lists of names
	lacking=$(missing $tools)
	[ -n "$lacking" ] || return 0
	say "installing" $lacking
	# shellcheck disable=SC2086
	keep_quiet $lacking
	apt-get -o DPkg::Lock::Timeout=300 update -qq
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends $lacking
}

# keep_quiet sees to it that none of the packages to come runs anything on this
# machine, neither now (invoke-rc.d(8) asks policy-rc.d) nor at its next boot.
# What is there already is left as its owner has it.
keep_quiet() {
	ours=
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		ours=/usr/sbin/policy-rc.d # removed when this script ends
		printf '#!/bin/sh\nexit 101\n' >"$ours"
		chmod 755 "$ours"
	fi
	mkdir -p /etc/systemd/system /etc/cloud
	for name in "$@"; do
		case $name in
		cloud-init) : >>/etc/cloud/cloud-init.disabled ;;
		nginx-light) mask nginx.service ;;
		openipmi) mask openipmi.service ;;
		ipmitool) mask ipmievd.service ;;
		esac
	done
}

# mask keeps a service from ever starting; it needs no systemd to be there.
mask() {
	[ -e "/etc/systemd/system/$1" ] || ln -sf /dev/null "/etc/systemd/system/$1"
}

# download fetches packages into a directory that must not exist, and makes
# it appear at once.
download() {
	to=$1
	shift
	rm -rf "$to.part"
	mkdir -p "$to.part"
	(
		cd "$to.part"
		apt-get download -qq -o APT::Sandbox::User=root "$@" || {
			say "the package lists are old, reading them anew"
			apt-get update -qq
			apt-get download -qq -o APT::Sandbox::User=root "$@"
		}
	)
	rm -rf "$to"
	mv "$to.part" "$to"
}

# fetch_kernel fetches the package that linux-image-amd64 stands for.
fetch_kernel() {
	[ "$fresh" ] || [ ! -e "$cache/kernel/current.deb" ] || return 0
	[ "$(apt-cache search -n '^linux-image-amd64$')" ] || apt-get update -qq
	name=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[ "$name" ] || {
		say "this system's package lists have no linux-image-amd64: is it Debian with the main section?" >&2
		exit 1
	}
	say "fetching $name"
	download "$cache/kernel.new" "$name"
	mkdir -p "$cache/kernel"
	deb=$(basename "$cache"/kernel.new/*.deb)
	mv "$cache/kernel.new/$deb" "$cache/kernel/"
	rmdir "$cache/kernel.new"
	ln -sfn "$deb" "$cache/kernel/current.deb"
}

# fetch_loaders fetches the signed boot loaders of a medium. They are not
# installed: that would touch how this machine boots.
fetch_loaders() {
	[ "$fresh" ] || [ ! -e "$cache/loaders/grub.deb" ] || return 0
	say "fetching the signed boot loaders"
	download "$scratch/loaders" shim-signed grub-efi-amd64-signed
	rm -rf "$cache/loaders.part"
	mkdir "$cache/loaders.part"
	mv "$scratch"/loaders/shim-signed_*.deb "$cache/loaders.part/shim.deb"
	mv "$scratch"/loaders/grub-efi-amd64-signed_*.deb "$cache/loaders.part/grub.deb"
	rm -rf "$cache/loaders"
	mv "$cache/loaders.part" "$cache/loaders"
}

# fetch_packages sets $debs to the directory with the appliance's packages.
fetch_packages() {
	debs=$cache/debs-$(echo "$appliance" | digest)
	[ "$fresh" ] || [ ! -d "$debs" ] || return 0
	say "fetching the packages of the demo appliance"
	# shellcheck disable=SC2086
	download "$debs" $appliance
}

# fetch_installer fetches the netboot set of Debian's installer, of which two
# files are wanted.
fetch_installer() {
	[ "$fresh" ] || [ ! -e "$cache/installer/initrd.gz" ] || return 0
	say "fetching Debian's installer"
	download "$scratch/installer" debian-installer-12-netboot-amd64
	rm -rf "$cache/installer.part"
	mkdir "$cache/installer.part"
	dpkg-deb --fsys-tarfile "$scratch"/installer/*.deb | tar -x -C "$cache/installer.part" --strip-components=10 \
		./usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux \
		./usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz
	rm -rf "$cache/installer"
	mv "$cache/installer.part" "$cache/installer"
}

# build_appliance builds the ISO unless one made of the same things is there.
build_appliance() {
	work=$scratch/appliance
	mkdir "$work"
	(cd "$here/appliance" && CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -trimpath -ldflags '-s -w' -o "$work/appliance" .)
	key=$(
		{
			cat "$work/appliance" "$here/appliance/build.sh" "$here/modules.sh"
			find "$here/appliance/files" -type f -print -exec cat {} + | sed "s|$here||"
			readlink "$cache/kernel/current.deb"
			ls "$debs"
			dpkg-query -W grub-pc-bin grub-efi-amd64-bin
		} | digest
	)
	iso=$cache/appliance/appliance-$key.iso
	if [ ! -e "$iso" ]; then
		say "building the demo appliance"
		mkdir -p "$cache/appliance"
		sh "$here/appliance/build.sh" "$work/appliance" "$cache/kernel/current.deb" "$debs" "$work" "$iso.part"
		mv "$iso.part" "$iso"
	fi
	touch "$iso"
	ln -sfn "$(basename "$iso")" "$cache/appliance/current.iso"
	# The newest three stay: another clone may want its own.
	ls -t "$cache"/appliance/appliance-*.iso | tail -n +4 | xargs -r rm -f
}

# build_cloud builds the disk images of a Debian with cloud-init, likewise.
build_cloud() {
	key=$(
		{
			cat "$here/cloud/build.sh" "$here/modules.sh" "$here"/cloud/files/*
			readlink "$cache/kernel/current.deb"
			dpkg-query -W grub-pc-bin grub-efi-amd64-bin busybox-static
		} | digest
	)
	to=$cache/cloud/$key
	if [ "$fresh" ] || [ ! -d "$to" ]; then
		say "building the cloud image"
		work=$scratch/cloud
		rm -rf "$to.part"
		mkdir -p "$work" "$to.part"
		sh "$here/cloud/build.sh" "$cache/kernel/current.deb" "$work" "$to.part"
		rm -rf "$to"
		mv "$to.part" "$to"
	fi
	touch "$to"
	ln -sfn "$key" "$cache/cloud/current"
	# The newest two stay.
	ls -td "$cache"/cloud/*/ | grep -v '/current/$' | tail -n +3 | xargs -r rm -rf
}

fresh=
[ "${1-}" != --fresh ] || fresh=yes
[ "$(id -u)" = 0 ] || {
	say "needs root, to install packages and to write $cache: run it again as root" >&2
	exit 1
}
mkdir -p "$cache"
scratch=$(mktemp -d)
ours=
trap 'rm -rf "$scratch" $ours' EXIT
exec 9>"$cache/.lock"
flock 9
install_tools
fetch_kernel
fetch_loaders
fetch_packages
fetch_installer
build_appliance
build_cloud
say "ready: $(readlink -f "$cache/kernel/current.deb"), $(readlink -f "$cache/appliance/current.iso"), $(readlink -f "$cache/cloud/current"), $cache/installer"
