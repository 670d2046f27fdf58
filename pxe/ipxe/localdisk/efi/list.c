// SPDX-License-Identifier: Apache-2.0
//
// Which loaders to try, in which order.
#include "localdisk.h"

static const struct guid global_variable_guid = GLOBAL_VARIABLE_GUID;
static const struct guid file_system_guid = FILE_SYSTEM_GUID;

// Where a disk without a boot entry keeps its loader (UEFI 3.5.1.1).
static const char16 default_loader[] = L"\\EFI\\BOOT\\BOOTX64.EFI";
static const char16 windows_loader[] = L"\\EFI\\Microsoft\\Boot\\bootmgfw.efi";

enum { NAME_SIZE = 32, MAX_NAME = 255, MAX_FOLDERS = 64 };

// What installers put into \EFI\<vendor>, the outermost of a chain first:
// GRUB behind shim must not be started without it. A table of arrays, not of
// pointers, since the image carries no relocations.
static const char16 vendor_loaders[][NAME_SIZE] = {
	L"shimx64.efi", L"shim.efi", L"systemd-bootx64.efi", L"grubx64.efi",
};

static int is_listed(const struct candidates *c, const struct node *path) {
	for (u32 i = 0; i < c->count; i++) {
		if (same_path(c->at[i].path, path)) {
			return 1;
		}
	}
	return 0;
}

static void add(struct candidates *c, const struct node *path, const void *options, u32 size) {
	if (path != NULL && c->count < MAX_CANDIDATES && !is_listed(c, path)) {
		c->at[c->count++] = (struct candidate){path, options, size};
	}
}

static void add_file(struct candidates *c, const struct volume *v, const char16 *name) {
	add(c, join_file(v->path, name), NULL, 0);
}

// A load option as it stands in a Boot#### variable (UEFI 3.1.3).
struct entry {
	const struct node *path;
	const void *options;
	u32 options_size;
};

// parse_entry returns 0 for bytes that are no load option, or one that is
// switched off or starts an application of the firmware's own.
static int parse_entry(struct entry *e, const u8 *bytes, u64 size) {
	enum { FIXED = 6 }; // attributes and path length
	if (size < FIXED) {
		return 0;
	}
	u32 attributes = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (u32)bytes[3] << 24;
	u64 length = bytes[4] | bytes[5] << 8;
	u64 at = FIXED;
	while (at + 2 <= size && (bytes[at] != 0 || bytes[at + 1] != 0)) {
		at += 2; // the description
	}
	at += 2;
	if (at > size || length > size - at) {
		return 0;
	}
	e->path = path_within(bytes + at, length);
	e->options = bytes + at + length;
	e->options_size = size - at - length;
	return e->path != NULL && (attributes & LOAD_OPTION_ACTIVE) && !(attributes & LOAD_OPTION_CATEGORY);
}

// volume_of finds the partition an entry names: at the very place first, and
// then by signature, as for a short-form path or a disk in another slot.
static const struct volume *volume_of(const struct volumes *v, const struct node *path,
		const struct hard_drive *drive) {
	for (u32 i = 0; i < v->count; i++) {
		if (has_prefix(path, v->at[i].path)) {
			return &v->at[i];
		}
	}
	for (u32 i = 0; i < v->count; i++) {
		if (same_drive(hard_drive_of(v->at[i].path), drive)) {
			return &v->at[i];
		}
	}
	return NULL;
}

static void add_partition_entry(struct candidates *c, const struct volumes *v, const struct entry *e,
		const struct hard_drive *drive) {
	const struct volume *found = volume_of(v, e->path, drive);
	if (found == NULL) {
		return;
	}
	const struct node *rest = next_node(&drive->node);
	if (is_end(rest)) {
		add_file(c, found, default_loader);
		return;
	}
	add(c, join_nodes(found->path, rest), e->options, e->options_size);
}

// An entry for a whole disk stands for the default loader on it. Entries for
// network cards, CDs and the firmware's own menus lead to no volume.
static void add_disk_entry(struct candidates *c, const struct volumes *v, const struct node *path) {
	for (u32 i = 0; i < v->count; i++) {
		if (has_prefix(v->at[i].path, path)) {
			add_file(c, &v->at[i], default_loader);
		}
	}
}

static void add_entry(struct candidates *c, const struct volumes *v, const struct entry *e) {
	const struct hard_drive *drive = hard_drive_of(e->path);
	if (drive != NULL) {
		add_partition_entry(c, v, e, drive);
	} else {
		add_disk_entry(c, v, e->path);
	}
}

// variable returns a kept copy of a variable of the boot manager, or NULL.
static const u8 *variable(const char16 *name, u64 *size) {
	enum { MAX_SIZE = 16 * 1024 };
	static u8 buffer[MAX_SIZE];
	*size = MAX_SIZE;
	if (failed(st->runtime->get_variable(name, &global_variable_guid, NULL, size, buffer))) {
		return NULL;
	}
	u8 *copy = keep(*size);
	return copy == NULL ? NULL : memcpy(copy, buffer, *size);
}

static char16 hex_digit(u32 n) {
	return n < 10 ? '0' + n : 'A' + n - 10;
}

// list_boot_entries adds what the firmware's boot order says about local disks.
void list_boot_entries(struct candidates *c, const struct volumes *v) {
	u64 order_size, size;
	const u8 *order = variable(L"BootOrder", &order_size);
	if (order == NULL) {
		return;
	}
	for (u64 i = 0; i + 1 < order_size; i += 2) {
		char16 name[] = L"Boot0000";
		for (u32 d = 0; d < 4; d++) {
			name[4 + d] = hex_digit(order[i + 1 - d / 2] >> (d % 2 ? 0 : 4) & 0xf);
		}
		struct entry e;
		const u8 *bytes = variable(name, &size);
		if (bytes != NULL && parse_entry(&e, bytes, size)) {
			add_entry(c, v, &e);
		}
	}
}

static struct file *open_folder(handle volume, const char16 *name) {
	struct file_system *fs;
	struct file *root, *folder;
	if (failed(st->boot->handle_protocol(volume, &file_system_guid, &fs)) ||
		failed(fs->open_volume(fs, &root))) {
		return NULL;
	}
	status s = root->open(root, &folder, name, FILE_READ, 0);
	root->close(root);
	return failed(s) ? NULL : folder;
}

// next_folder reads on to the next folder below folder; NULL at the end. Its
// answer is good until the next call.
static const char16 *next_folder(struct file *folder) {
	static union {
		struct file_info info;
		u8 bytes[sizeof(struct file_info) + (MAX_NAME + 1) * sizeof(char16)];
	} entry;
	for (;;) {
		u64 size = sizeof entry;
		if (failed(folder->read(folder, &size, &entry)) || size == 0) {
			return NULL;
		}
		if ((entry.info.attribute & FILE_DIRECTORY) && entry.info.name[0] != '.') {
			return entry.info.name;
		}
	}
}

static void add_below(struct candidates *c, const struct volume *v, const char16 *folder,
		const char16 *loader) {
	char16 name[8 + MAX_NAME + NAME_SIZE] = L"\\EFI\\";
	u64 f = text_length(folder), l = text_length(loader);
	memcpy(name + 5, folder, f * sizeof *name);
	name[5 + f] = '\\';
	memcpy(name + 6 + f, loader, (l + 1) * sizeof *name);
	add_file(c, v, name);
}

// add_vendor_loader adds \EFI\<any folder>\loader. Whether the file is there
// is left to LoadImage.
static void add_vendor_loader(struct candidates *c, const struct volume *v, const char16 *loader) {
	struct file *efi = open_folder(v->handle, L"\\EFI");
	if (efi == NULL) {
		return;
	}
	const char16 *folder;
	for (u32 n = 0; n < MAX_FOLDERS && (folder = next_folder(efi)) != NULL; n++) {
		add_below(c, v, folder, loader);
	}
	efi->close(efi);
}

static void list_on(struct candidates *c, const struct volumes *v, int system) {
	for (u32 i = 0; i < v->count; i++) {
		if (v->at[i].system == system) {
			add_file(c, &v->at[i], default_loader);
		}
	}
	for (u32 i = 0; i < v->count; i++) {
		if (v->at[i].system != system) {
			continue;
		}
		for (u32 l = 0; l < sizeof vendor_loaders / sizeof *vendor_loaders; l++) {
			add_vendor_loader(c, &v->at[i], vendor_loaders[l]);
		}
		add_file(c, &v->at[i], windows_loader);
	}
}

// list_known_loaders adds what disks hold without any boot entry: EFI System
// Partitions before others that firmware can read, as a maker's recovery
// partition has a default loader too.
void list_known_loaders(struct candidates *c, const struct volumes *v) {
	list_on(c, v, 1);
	list_on(c, v, 0);
}
