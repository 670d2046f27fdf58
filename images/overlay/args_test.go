package overlay

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArgumentsGoWhereTheBootLoaderReadsThem(t *testing.T) {
	set := arguments{set: []string{"console=ttyS0", "ds=nocloud;s=/cdrom/"}, drop: []string{"quiet", "root"}}
	for _, tt := range []struct {
		name   string
		syntax Syntax
		config string
		want   string
		places int
	}{
		{"grub", GRUB, "  linux /vmlinuz root=/dev/sr0 quiet ro\n", "  linux /vmlinuz ro console=ttyS0 'ds=nocloud;s=/cdrom/'\n", 1},
		{"without a newline", GRUB, "linux /vmlinuz", "linux /vmlinuz console=ttyS0 'ds=nocloud;s=/cdrom/'", 1},
		{"carriage return", GRUB, "linux /vmlinuz quiet\r\n", "linux /vmlinuz console=ttyS0 'ds=nocloud;s=/cdrom/'\r\n", 1},
		{"before the installed system's", GRUB, "linux /vmlinuz a --- quiet b\n", "linux /vmlinuz a console=ttyS0 'ds=nocloud;s=/cdrom/' --- b\n", 1},
		{"directly before", GRUB, "linux /vmlinuz ---\n", "linux /vmlinuz console=ttyS0 'ds=nocloud;s=/cdrom/' ---\n", 1},
		{"continued lines", GRUB, "linux /vmlinuz a \\\n  quiet b\ninitrd x\n", "linux /vmlinuz a b console=ttyS0 'ds=nocloud;s=/cdrom/'\ninitrd x\n", 1},
		{"continued lines that stay", GRUB, "linux /vmlinuz a \\\n\tb\n", "linux /vmlinuz a \\\n\tb console=ttyS0 'ds=nocloud;s=/cdrom/'\n", 1},
		{"there already", GRUB, "linux /vmlinuz console=ttyS0 'ds=nocloud;s=/cdrom/' x\n", "linux /vmlinuz console=ttyS0 'ds=nocloud;s=/cdrom/' x\n", 1},
		{"a quoted word", GRUB, "linux /vmlinuz \"root=a b\" 'c d'\n", "linux /vmlinuz 'c d' console=ttyS0 'ds=nocloud;s=/cdrom/'\n", 1},
		{"a kernel of a dropped name", GRUB, "linux quiet\n", "linux quiet console=ttyS0 'ds=nocloud;s=/cdrom/'\n", 1},
		{"other commands", GRUB, "# linux /vmlinuz quiet\nset x=linux\nmenuentry 'linux quiet' {\n}\n", "# linux /vmlinuz quiet\nset x=linux\nmenuentry 'linux quiet' {\n}\n", 0},
		{"several", GRUB, "linux /a\nlinuxefi /b\n\t$linux /c quiet\n", "linux /a console=ttyS0 'ds=nocloud;s=/cdrom/'\nlinuxefi /b console=ttyS0 'ds=nocloud;s=/cdrom/'\n\t$linux /c console=ttyS0 'ds=nocloud;s=/cdrom/'\n", 3},
		{"syslinux", Syslinux, "LABEL a\n KERNEL /linux\n APPEND initrd=/i quiet\n", "LABEL a\n KERNEL /linux\n APPEND initrd=/i console=ttyS0 ds=nocloud;s=/cdrom/\n", 1},
		{"syslinux, kernel last", Syslinux, "label a\nappend x\nlinux /linux\nlabel b\nkernel menu.c32\nappend y\n", "label a\nappend x console=ttyS0 ds=nocloud;s=/cdrom/\nlinux /linux\nlabel b\nkernel menu.c32\nappend y\n", 1},
		{"syslinux, nothing to append", Syslinux, "label a\nkernel /linux\nappend -\n", "label a\nkernel /linux\nappend -\n", 0},
		{"loader entry", Entry, "title x\nlinux /vmlinuz\noptions root=x a\n", "title x\nlinux /vmlinuz\noptions a console=ttyS0 ds=nocloud;s=/cdrom/\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, places := set.edit(tt.syntax, tt.config)
			if diff := cmp.Diff(tt.want, got); diff != "" || places != tt.places {
				t.Errorf("%d places, want %d (-want +got):\n%s", places, tt.places, diff)
			}
			if again, _ := set.edit(tt.syntax, got); again != got {
				t.Errorf("a second time it becomes %q", again)
			}
			if same, _ := (arguments{}).edit(tt.syntax, tt.config); same != tt.config {
				t.Errorf("changing nothing makes it %q", same)
			}
		})
	}
}

func TestConfigurationsAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]Syntax{
		"/boot/grub/grub.cfg":             GRUB,
		"/boot/grub2/grub.cfg":            GRUB,
		"/EFI/BOOT/grub.cfg":              GRUB,
		"/EFI/debian/GRUB.CFG":            GRUB,
		"/boot/grub/loopback.cfg":         GRUB,
		"/isolinux/txt.cfg":               Syslinux,
		"/boot/syslinux/syslinux.cfg":     Syslinux,
		"/isolinux.cfg":                   Syslinux,
		"/loader/entries/installer.conf":  Entry,
		"/preseed.cfg":                    "",
		"/ks.cfg":                         "",
		"/loader/loader.conf":             "",
		"/boot/grub/x86_64-efi/linux.mod": "",
	} {
		if got, _ := syntaxOf(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
