// SPDX-License-Identifier: Apache-2.0
#include "localdisk.h"

static const struct guid block_io_guid = BLOCK_IO_GUID;
static const struct guid device_path_guid = DEVICE_PATH_GUID;
static const struct guid file_system_guid = FILE_SYSTEM_GUID;
static const struct guid partition_info_guid = PARTITION_INFO_GUID;

// protocol returns what h speaks under id, or NULL.
static void *protocol(handle h, const struct guid *id) {
	void *found = NULL;
	if (failed(st->boot->handle_protocol(h, id, &found))) {
		return NULL;
	}
	return found;
}

// A partition's handle ends in its hard drive node; a CD's ends in another,
// and a file system made up by a network loader has neither.
static int ends_in_hard_drive(const struct node *path) {
	const struct hard_drive *drive = hard_drive_of(path);
	return drive != NULL && is_end(next_node(&drive->node));
}

static int is_fixed(handle h) {
	const struct block_io *io = protocol(h, &block_io_guid);
	return io != NULL && io->media->present && !io->media->removable;
}

// Firmware older than UEFI 2.7 does not say what a partition is for.
static int is_system_partition(handle h) {
	const struct partition_info *info = protocol(h, &partition_info_guid);
	return info != NULL && info->system == 1;
}

static void add_volume(struct volumes *v, handle h) {
	const struct node *path = protocol(h, &device_path_guid);
	if (v->count == MAX_VOLUMES || path == NULL || !ends_in_hard_drive(path)) {
		return;
	}
	if (is_transient(path) || !is_fixed(h)) {
		return;
	}
	v->at[v->count++] = (struct volume){h, path, is_system_partition(h)};
}

// find_volumes fills v in the firmware's order. The file system that localdisk
// itself was started from, self, is left out: it would only start itself again.
void find_volumes(struct volumes *v, handle self) {
	u64 count;
	handle *all;
	v->count = 0;
	if (failed(st->boot->locate_handle_buffer(BY_PROTOCOL, &file_system_guid, NULL, &count, &all))) {
		return;
	}
	for (u64 i = 0; i < count; i++) {
		if (all[i] != self) {
			add_volume(v, all[i]);
		}
	}
	st->boot->free_pool(all);
}
