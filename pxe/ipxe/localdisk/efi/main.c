// SPDX-License-Identifier: Apache-2.0
//
// localdisk starts the boot loader of the first local disk that has one. It
// writes nothing: neither to a disk nor to a variable.
#include "localdisk.h"

static const struct guid loaded_image_guid = LOADED_IMAGE_GUID;
static const struct guid path_to_text_guid = PATH_TO_TEXT_GUID;

enum { READING_TIME = 10 * 1000 * 1000 }; // microseconds

struct system_table *st;

static void say(const char16 *text) {
	st->out->output_string(st->out, text);
}

static void say_path(const struct node *path) {
	struct path_to_text *text;
	char16 *words = NULL;
	if (!failed(st->boot->locate_protocol(&path_to_text_guid, NULL, &text))) {
		words = text->path_to_text(path, 0, 0);
	}
	say(words == NULL ? L"a local disk" : words);
	if (words != NULL) {
		st->boot->free_pool(words);
	}
}

static handle device_of(handle self) {
	struct loaded_image *image;
	if (failed(st->boot->handle_protocol(self, &loaded_image_guid, &image))) {
		return NULL;
	}
	return image->device;
}

// load returns NULL for a loader that is not there or is refused.
static handle load(handle self, const struct candidate *c) {
	handle image = NULL;
	struct loaded_image *loaded;
	if (failed(st->boot->load_image(0, self, c->path, NULL, 0, &image))) {
		if (image != NULL) {
			st->boot->unload_image(image); // a refusal by policy leaves one behind (UEFI 7.4)
		}
		return NULL;
	}
	if (c->options_size > 0 && !failed(st->boot->handle_protocol(image, &loaded_image_guid, &loaded))) {
		loaded->options = c->options;
		loaded->options_size = c->options_size;
	}
	return image;
}

// start returns 0 if there was nothing to start, and 1 after a loader that
// gave up; one that boots its system does not come back.
static u32 start(handle self, const struct candidate *c) {
	handle image = load(self, c);
	if (image == NULL) {
		return 0;
	}
	say(L"muster: booting ");
	say_path(c->path);
	say(L"\r\n");
	st->boot->start_image(image, NULL, NULL);
	say(L"muster: that boot loader gave up; trying the next one\r\n");
	return 1;
}

static void connect_all(void) {
	u64 count;
	handle *all;
	if (failed(st->boot->locate_handle_buffer(ALL_HANDLES, NULL, NULL, &count, &all))) {
		return;
	}
	for (u64 i = 0; i < count; i++) {
		st->boot->connect_controller(all[i], NULL, NULL, 1);
	}
	st->boot->free_pool(all);
}

// try_all starts loaders in turn and returns how many gave up.
static u32 try_all(handle self) {
	static struct volumes volumes;
	static struct candidates candidates;
	forget_all();
	candidates.count = 0;
	find_volumes(&volumes, device_of(self));
	list_boot_entries(&candidates, &volumes);
	list_known_loaders(&candidates, &volumes);
	u32 started = 0;
	for (u32 i = 0; i < candidates.count; i++) {
		started += start(self, &candidates.at[i]);
	}
	return started;
}

// efi_main is the entry point (UEFI 4.1). Firmware that was told to start the
// network first may not have looked at its disks yet: then it is made to.
status efi_main(handle self, struct system_table *table) {
	st = table;
	u32 started = try_all(self);
	if (started == 0) {
		connect_all();
		started = try_all(self);
	}
	if (started == 0) {
		say(L"muster: no boot loader found on a local disk; "
			L"check that the disk is seen by the firmware, or install this host again\r\n");
		st->boot->stall(READING_TIME);
	}
	return EFI_NOT_FOUND;
}
