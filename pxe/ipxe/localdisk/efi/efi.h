// SPDX-License-Identifier: Apache-2.0
//
// The few declarations of the UEFI Specification 2.10 that localdisk uses.
// A member that is never called is a `void *` that keeps its neighbours at
// their offsets. Section numbers are the specification's.
#ifndef EFI_H
#define EFI_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

typedef u16 char16;   // UCS-2, 2.3.1; build with -fshort-wchar so that L"" is this
typedef u64 status;   // appendix D; the top bit marks an error
typedef void *handle; // 2.3.1

#define NULL ((void *)0)

#define ERROR_BIT (1UL << 63)
#define EFI_SUCCESS 0UL
#define EFI_NOT_FOUND (ERROR_BIT | 14)

static inline int failed(status s) { return (s & ERROR_BIT) != 0; }

struct guid { // 2.3.1
	u32 a;
	u16 b, c;
	u8 d[8];
};

// Every device path is a row of these, each len bytes long (10.2).
struct node {
	u8 type, subtype;
	u8 len[2]; // little-endian, unaligned
};

enum {
	PATH_MESSAGING = 3, // 10.3.4
	MESSAGING_USB = 5,
	MESSAGING_MAC = 11,
	MESSAGING_IPV4 = 12,
	MESSAGING_IPV6 = 13,
	MESSAGING_USB_CLASS = 15,
	MESSAGING_USB_WWID = 16,
	MESSAGING_ISCSI = 19,
	MESSAGING_URI = 24,
	MESSAGING_NVME_OVER_FABRIC = 34,
	PATH_MEDIA = 4, // 10.3.5
	MEDIA_HARD_DRIVE = 1,
	MEDIA_FILE = 4,
	MEDIA_RAM_DISK = 9,
	PATH_END = 0x7f, // 10.3.1
	END_ENTIRE = 0xff,
};

struct hard_drive { // 10.3.5, packed: start sits at offset 8
	struct node node;
	u32 partition;
	u64 start, size;
	u8 signature[16];
	u8 mbr_type, signature_type;
} __attribute__((packed));

enum { SIGNATURE_NONE = 0, SIGNATURE_MBR = 1, SIGNATURE_GUID = 2 };

struct table_header { // 4.2
	u64 signature;
	u32 revision, size, crc, reserved;
};

struct text_output { // 12.4
	void *reset;
	status (*output_string)(struct text_output *, const char16 *);
};

enum { BY_PROTOCOL = 2, ALL_HANDLES = 0 }; // 7.3

struct boot_services { // 4.4
	struct table_header header;
	void *tpl[2], *memory[3], *allocate_pool;
	status (*free_pool)(void *);
	void *events[6], *install[3];
	status (*handle_protocol)(handle, const struct guid *, void *interface); // 7.3
	void *reserved, *notify, *locate_handle, *locate_device_path, *configuration;
	status (*load_image)(u8 boot_policy, handle parent, const struct node *path,
		void *source, u64 source_size, handle *image);                    // 7.4
	status (*start_image)(handle image, u64 *exit_size, char16 **exit_text); // 7.4
	void *exit;
	status (*unload_image)(handle image); // 7.4
	void *exit_boot_services, *monotonic;
	status (*stall)(u64 microseconds); // 7.5
	void *watchdog;
	status (*connect_controller)(handle controller, handle *drivers,
		const struct node *remaining, u8 recursive); // 7.3
	void *disconnect, *open[3], *per_handle;
	status (*locate_handle_buffer)(u32 by, const struct guid *, void *key,
		u64 *count, handle **); // 7.3
	status (*locate_protocol)(const struct guid *, void *registration, void *interface); // 7.3
};

struct runtime_services { // 4.5
	struct table_header header;
	void *time[4], *virtual_memory[2];
	status (*get_variable)(const char16 *name, const struct guid *vendor,
		u32 *attributes, u64 *size, void *data); // 8.2
	void *next_variable, *set_variable, *high_monotonic;
	void (*reset_system)(u32 kind, status, u64 size, void *data); // 8.5
};

enum { RESET_SHUTDOWN = 2 };

struct system_table { // 4.3
	struct table_header header;
	char16 *vendor;
	u32 revision;
	handle in_handle;
	void *in;
	handle out_handle;
	struct text_output *out;
	handle error_handle;
	struct text_output *error;
	struct runtime_services *runtime;
	struct boot_services *boot;
};

struct loaded_image { // 9.1
	u32 revision;
	handle parent;
	struct system_table *system;
	handle device;
	struct node *file;
	void *reserved;
	u32 options_size;
	const void *options;
};

struct block_media { // 13.9
	u32 id;
	u8 removable, present, partition, read_only;
};

struct block_io { // 13.9
	u64 revision;
	struct block_media *media;
};

struct partition_info { // 13.18
	u32 revision, type;
	u8 system; // 1: an EFI System Partition
} __attribute__((packed));

struct file { // 13.5
	u64 revision;
	status (*open)(struct file *, struct file **, const char16 *name, u64 mode, u64 attributes);
	status (*close)(struct file *);
	void *delete;
	status (*read)(struct file *, u64 *size, void *);
};

enum { FILE_READ = 1, FILE_DIRECTORY = 0x10 }; // 13.5

struct file_info { // 13.5
	u64 size, file_size, physical_size, times[6], attribute;
	char16 name[];
};

struct file_system { // 13.4
	u64 revision;
	status (*open_volume)(struct file_system *, struct file **);
};

struct path_to_text { // 10.6
	void *node_to_text;
	char16 *(*path_to_text)(const struct node *, u8 display_only, u8 shortcuts);
};

enum { LOAD_OPTION_ACTIVE = 1, LOAD_OPTION_CATEGORY = 0x1f00 }; // 3.1.3

#define BLOCK_IO_GUID {0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define FILE_SYSTEM_GUID {0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define LOADED_IMAGE_GUID {0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define DEVICE_PATH_GUID {0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define PATH_TO_TEXT_GUID {0x8b843e20, 0x8132, 0x4852, {0x90, 0xcc, 0x55, 0x1a, 0x4e, 0x4a, 0x7f, 0x1c}}
#define PARTITION_INFO_GUID {0x8cf2f62c, 0xbc9b, 0x4821, {0x80, 0x8d, 0xec, 0x9e, 0xc4, 0x21, 0xa1, 0xa0}}
#define GLOBAL_VARIABLE_GUID {0x8be4df61, 0x93ca, 0x11d2, {0xaa, 0x0d, 0, 0xe0, 0x98, 0x03, 0x2b, 0x8c}} // 3.3

#endif
