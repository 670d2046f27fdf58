# Sourced by the scripts that build systems for the lab.

# collect_modules KERNEL.deb LIST WORK copies the modules of a kernel package
# that a file lists, and what they need, to WORK/modules. The package is left
# unpacked in WORK/kernel, and $release names its kernel.
collect_modules() {
	mkdir -p "$3/kernel"
	dpkg-deb -x "$1" "$3/kernel"
	release=$(ls "$3/kernel/lib/modules")
	depmod -b "$3/kernel" "$release"
	from=$3/kernel/lib/modules/$release
	to=$3/modules/lib/modules/$release
	mkdir -p "$to"
	grep -v '^#' "$2" | tr -s ' ' '\n' | grep . |
		xargs modprobe -a -d "$3/kernel" -S "$release" --show-depends |
		awk '$1 == "insmod" { print $2 }' | sort -u | sed "s|^$from/||" >"$3/modules.list"
	tar -c -C "$from" -T "$3/modules.list" modules.builtin modules.builtin.modinfo modules.order |
		tar -x -C "$to"
	depmod -b "$3/modules" "$release"
}
