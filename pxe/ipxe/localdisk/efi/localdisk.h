// SPDX-License-Identifier: Apache-2.0
//
// What the parts of localdisk share. main.c acts; list.c decides the order;
// volumes.c says which file systems are local disks; path.c knows device
// paths and is pure.
#ifndef LOCALDISK_H
#define LOCALDISK_H

#include "efi.h"

enum { MAX_VOLUMES = 64, MAX_CANDIDATES = 128 };

// A file system on a partition of a disk that stays: neither removable nor
// reached by USB or by a network, nor made in memory.
struct volume {
	handle handle;
	const struct node *path; // the firmware's; its last node is the hard drive
	int system;              // firmware calls the partition an EFI System Partition
};

struct volumes {
	struct volume at[MAX_VOLUMES];
	u32 count;
};

// A loader that may be there: LoadImage finds out.
struct candidate {
	const struct node *path;
	const void *options; // handed to the loader as its load options
	u32 options_size;
};

struct candidates {
	struct candidate at[MAX_CANDIDATES];
	u32 count;
};

extern struct system_table *st;

// path.c
u32 node_size(const struct node *);
int is_end(const struct node *);
const struct node *next_node(const struct node *);
const struct node *path_within(const void *bytes, u64 size);
u64 path_size(const struct node *);
const struct hard_drive *hard_drive_of(const struct node *);
int has_prefix(const struct node *path, const struct node *prefix);
int same_path(const struct node *, const struct node *);
int same_drive(const struct hard_drive *, const struct hard_drive *);
int is_transient(const struct node *);
const struct node *join_nodes(const struct node *base, const struct node *rest);
const struct node *join_file(const struct node *base, const char16 *name);

// volumes.c
void find_volumes(struct volumes *, handle self);

// list.c
void list_boot_entries(struct candidates *, const struct volumes *);
void list_known_loaders(struct candidates *, const struct volumes *);

// bytes.c
int same_bytes(const void *, const void *, u64);
u64 text_length(const char16 *);

// memory.c
void *keep(u64 size);
void forget_all(void);
void *memcpy(void *, const void *, u64);
void *memset(void *, int, u64);

#endif
