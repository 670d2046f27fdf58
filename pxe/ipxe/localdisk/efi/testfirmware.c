// SPDX-License-Identifier: Apache-2.0
//
// A firmware that the tests can shape: it runs localdisk as an ordinary
// program, under the compiler's sanitizers, and prints what it was asked to
// do. Its volumes, files and variables come as lines on standard input:
//
//     volume NAME PATH-IN-HEX [removable] [empty] [esp] [unconnected] [self]
//     file VOLUME NAME [refused] [gives-up]
//     variable NAME CONTENT-IN-HEX
#include <stdio.h>
#include <stdlib.h>

#include "localdisk.h"

enum { MAX = 1024, TEXT = 4096 };

struct test_file {
	char volume[32], name[256];
	int refused, gives_up;
};

struct test_volume {
	char name[32];
	struct node *path;
	int unconnected, self;
	struct block_media media;
	struct block_io io;
	struct partition_info info;
	struct file_system fs;
};

struct test_variable {
	char name[32];
	u8 *content;
	u64 size;
};

struct test_folder {
	struct file file;
	struct test_volume *volume;
	char16 seen[MAX][32]; // names of folders
	u32 at, count;
};

static struct test_volume volumes[MAX];
static struct test_file files[MAX];
static struct test_variable variables[MAX];
static u32 volume_count, file_count, variable_count;
static struct loaded_image self, loaded;

void *keep(u64 size) {
	return calloc(1, size); // of the exact size, so that a read past it is seen
}

void forget_all(void) {
}

static int same(const char *a, const char *b) {
	while (*a && *a == *b) {
		a++, b++;
	}
	return *a == *b;
}

static int has(const char *words, const char *word) {
	for (char one[32]; sscanf(words, "%31s", one) == 1;) {
		if (same(one, word)) {
			return 1;
		}
		while (*words == ' ') {
			words++;
		}
		while (*words && *words != ' ' && *words != '\n') {
			words++;
		}
	}
	return 0;
}

static void narrow(char *to, const char16 *from, u64 limit) {
	u64 n = 0;
	for (; n < limit - 1 && from[n]; n++) {
		to[n] = (char)from[n];
	}
	to[n] = 0;
}

static u8 *from_hex(const char *hex, u64 *size) {
	u64 n = 0;
	unsigned byte;
	while (sscanf(hex + 2 * n, "%2x", &byte) == 1) {
		n++;
	}
	u8 *bytes = malloc(n);
	for (u64 i = 0; i < n; i++) {
		sscanf(hex + 2 * i, "%2x", &byte);
		bytes[i] = (u8)byte;
	}
	*size = n;
	return bytes;
}

static status handle_protocol(handle h, const struct guid *id, void *interface) {
	struct test_volume *v = h;
	void *found = NULL;
	switch (id->a) {
	case 0x964e5b21: found = &v->io; break;
	case 0x964e5b22: found = &v->fs; break;
	case 0x09576e91: found = v->path; break;
	case 0x8cf2f62c: found = &v->info; break;
	case 0x5b1b31a1: found = h; break; // images are their own handles
	}
	*(void **)interface = found;
	return found == NULL ? EFI_NOT_FOUND : EFI_SUCCESS;
}

static status locate_handle_buffer(u32 by, const struct guid *id, void *key, u64 *count, handle **all) {
	(void)id, (void)key;
	*count = 0;
	*all = calloc(MAX, sizeof **all);
	for (u32 i = 0; i < volume_count; i++) {
		if (by == ALL_HANDLES || !volumes[i].unconnected) {
			(*all)[(*count)++] = &volumes[i];
		}
	}
	return EFI_SUCCESS;
}

static status locate_protocol(const struct guid *id, void *registration, void *interface) {
	(void)id, (void)registration, (void)interface;
	return EFI_NOT_FOUND;
}

static status free_pool(void *p) {
	free(p);
	return EFI_SUCCESS;
}

static status connect_controller(handle h, handle *drivers, const struct node *rest, u8 recursive) {
	struct test_volume *v = h;
	(void)drivers, (void)rest, (void)recursive;
	printf("connect %s\n", v->name);
	v->unconnected = 0;
	return EFI_SUCCESS;
}

static struct test_file *find_file(const struct node *path) {
	for (u32 i = 0; i < file_count; i++) {
		for (u32 v = 0; v < volume_count; v++) {
			if (!same(files[i].volume, volumes[v].name) || !has_prefix(path, volumes[v].path)) {
				continue;
			}
			const struct node *file = (const void *)((const u8 *)path + path_size(volumes[v].path));
			char name[256];
			narrow(name, (const char16 *)(file + 1), sizeof name);
			if (file->subtype == MEDIA_FILE && same(name, files[i].name)) {
				return &files[i];
			}
		}
	}
	return NULL;
}

static status load_image(u8 policy, handle parent, const struct node *path, void *source, u64 size,
		handle *image) {
	(void)policy, (void)parent, (void)source, (void)size;
	struct test_file *f = find_file(path);
	if (f == NULL) {
		return EFI_NOT_FOUND;
	}
	loaded = (struct loaded_image){.reserved = f};
	*image = &loaded;
	return f->refused ? ERROR_BIT | 26 : EFI_SUCCESS;
}

static status unload_image(handle image) {
	struct test_file *f = ((struct loaded_image *)image)->reserved;
	printf("unload %s %s\n", f->volume, f->name);
	return EFI_SUCCESS;
}

static status start_image(handle image, u64 *exit_size, char16 **exit_text) {
	struct loaded_image *i = image;
	struct test_file *f = i->reserved;
	(void)exit_size, (void)exit_text;
	printf("start %s %s", f->volume, f->name);
	for (u32 n = 0; n < i->options_size; n++) {
		printf("%s%02x", n == 0 ? " options " : "", ((const u8 *)i->options)[n]);
	}
	printf("\n");
	if (!f->gives_up) {
		exit(0);
	}
	return ERROR_BIT | 1;
}

static status stall(u64 microseconds) {
	printf("stall %lu\n", microseconds);
	return EFI_SUCCESS;
}

static status get_variable(const char16 *name, const struct guid *vendor, u32 *attributes, u64 *size,
		void *data) {
	char wanted[32];
	(void)vendor, (void)attributes;
	narrow(wanted, name, sizeof wanted);
	for (u32 i = 0; i < variable_count; i++) {
		if (same(variables[i].name, wanted) && variables[i].size <= *size) {
			*size = variables[i].size;
			memcpy(data, variables[i].content, *size);
			return EFI_SUCCESS;
		}
	}
	return EFI_NOT_FOUND;
}

static status output_string(struct text_output *out, const char16 *text) {
	char line[TEXT];
	(void)out;
	narrow(line, text, sizeof line);
	printf("%s", line);
	return EFI_SUCCESS;
}

// Folders: only \EFI can be opened, and lists each folder that a file lies in.
static status folder_close(struct file *file) {
	free(file);
	return EFI_SUCCESS;
}

static status folder_read(struct file *file, u64 *size, void *data) {
	struct test_folder *folder = (struct test_folder *)file;
	struct file_info *info = data;
	if (folder->at == folder->count) {
		*size = 0;
		return EFI_SUCCESS;
	}
	const char16 *name = folder->seen[folder->at++];
	info->attribute = FILE_DIRECTORY;
	memcpy(info->name, name, (text_length(name) + 1) * sizeof *name);
	return EFI_SUCCESS;
}

static void see_folder(struct test_folder *folder, const char *name) {
	char16 *to = folder->seen[folder->count];
	u32 n = 0;
	for (; name[n] && name[n] != '\\'; n++) {
		to[n] = (u8)name[n];
	}
	for (u32 i = 0; i < folder->count; i++) {
		if (same_bytes(folder->seen[i], to, (n + 1) * sizeof *to)) {
			return;
		}
	}
	folder->count++;
}

static status folder_open(struct file *root, struct file **opened, const char16 *name, u64 mode, u64 attributes) {
	struct test_folder *folder = calloc(1, sizeof *folder);
	(void)name, (void)mode, (void)attributes;
	*folder = (struct test_folder){.file = *root, .volume = ((struct test_folder *)root)->volume};
	for (u32 i = 0; i < file_count; i++) {
		if (same(files[i].volume, folder->volume->name)) {
			see_folder(folder, files[i].name + sizeof "\\EFI\\" - 1);
		}
	}
	*opened = &folder->file;
	return EFI_SUCCESS;
}

static status open_volume(struct file_system *fs, struct file **root) {
	struct test_folder *folder = calloc(1, sizeof *folder);
	folder->file = (struct file){.open = folder_open, .close = folder_close, .read = folder_read};
	folder->volume = (struct test_volume *)((u8 *)fs - __builtin_offsetof(struct test_volume, fs));
	*root = &folder->file;
	return EFI_SUCCESS;
}

static void add_volume(const char *name, const char *hex, const char *flags) {
	struct test_volume *v = &volumes[volume_count++];
	u64 size;
	sscanf(name, "%31s", v->name);
	v->path = (struct node *)from_hex(hex, &size);
	v->unconnected = has(flags, "unconnected");
	v->media = (struct block_media){.removable = has(flags, "removable"), .present = !has(flags, "empty")};
	v->io.media = &v->media;
	v->info.system = has(flags, "esp");
	v->fs.open_volume = open_volume;
	if (has(flags, "self")) {
		self.device = v;
	}
}

static void read_line(const char *line) {
	static char kind[16], name[64], what[TEXT], rest[TEXT];
	rest[0] = what[0] = 0;
	if (sscanf(line, "%15s %63s %4095s %4095[^\n]", kind, name, what, rest) < 2 ||
		volume_count == MAX || file_count == MAX || variable_count == MAX) {
		fprintf(stderr, "testfirmware: cannot take %s", line);
		exit(2);
	}
	if (same(kind, "volume")) {
		add_volume(name, what, rest);
	} else if (same(kind, "file")) {
		struct test_file *f = &files[file_count++];
		sscanf(name, "%31s", f->volume);
		sscanf(what, "%255s", f->name);
		f->refused = has(rest, "refused");
		f->gives_up = has(rest, "gives-up");
	} else {
		struct test_variable *v = &variables[variable_count++];
		sscanf(name, "%31s", v->name);
		v->content = from_hex(what, &v->size);
	}
}

status efi_main(handle, struct system_table *);

int main(void) {
	static char line[2 * TEXT];
	while (fgets(line, sizeof line, stdin)) {
		if (line[0] != '\n') {
			read_line(line);
		}
	}
	struct text_output out = {.output_string = output_string};
	struct runtime_services runtime = {.get_variable = get_variable};
	struct boot_services boot = {
		.free_pool = free_pool, .handle_protocol = handle_protocol, .load_image = load_image,
		.start_image = start_image, .unload_image = unload_image, .stall = stall,
		.connect_controller = connect_controller, .locate_handle_buffer = locate_handle_buffer,
		.locate_protocol = locate_protocol,
	};
	struct system_table table = {.out = &out, .runtime = &runtime, .boot = &boot};
	printf("return %#lx\n", efi_main(&self, &table));
	return 0;
}
