#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds a UEFI application from C sources beside this script, with Debian's
# gcc and binutils alone:
#
#     efi/build.sh localdisk.efi main.c list.c volumes.c path.c bytes.c memory.c
#     efi/build.sh               does just that, into efi/localdisk.efi
#
# The same compiler gives the same bytes: no timestamp and no path enters.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/localdisk.efi}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- main.c list.c volumes.c path.c bytes.c memory.c

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for source in "$@" pe.S; do
	(cd "$here" && gcc -c -Os -std=c11 -Wall -Wextra -Werror \
		-ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
		-fpie -fvisibility=hidden -fshort-wchar -mabi=ms -mno-red-zone -mgeneral-regs-only \
		-o "$work/$source.o" "$source")
done

# An absolute address in the code would be right only where the image was linked.
if objdump -r -j .text -j .rodata "$work"/*.c.o | grep -E 'R_X86_64_(64|32|32S) '; then
	echo "build.sh: the code holds an absolute address; see above" >&2
	exit 1
fi
ld -T "$here/pe.ld" -o "$work/image" "$work"/*.o
install -m 0644 "$work/image" "$out"
