// SPDX-License-Identifier: Apache-2.0
//
// A stand-in for an operating system's boot loader, for the tests: says where
// it was started from, and switches the host off.
#include "localdisk.h"

static const struct guid loaded_image_guid = LOADED_IMAGE_GUID;
static const struct guid device_path_guid = DEVICE_PATH_GUID;
static const struct guid path_to_text_guid = PATH_TO_TEXT_GUID;

static void say_path(struct system_table *st, const struct path_to_text *text, const struct node *path) {
	st->out->output_string(st->out, text->path_to_text(path, 0, 0));
}

status efi_main(handle self, struct system_table *st) {
	struct loaded_image *image;
	struct node *device;
	struct path_to_text *text;
	st->out->output_string(st->out, L"testloader: started from ");
	if (!failed(st->boot->handle_protocol(self, &loaded_image_guid, &image)) &&
		!failed(st->boot->handle_protocol(image->device, &device_path_guid, &device)) &&
		!failed(st->boot->locate_protocol(&path_to_text_guid, NULL, &text))) {
		say_path(st, text, device);
		say_path(st, text, image->file);
	}
	st->out->output_string(st->out, L" end\r\n");
	st->runtime->reset_system(RESET_SHUTDOWN, EFI_SUCCESS, 0, NULL);
	return EFI_SUCCESS;
}
