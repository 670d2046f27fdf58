// SPDX-License-Identifier: Apache-2.0
//
// Device paths, UEFI 10.2 and 10.3. Nothing here calls the firmware.
#include "localdisk.h"

u32 node_size(const struct node *n) {
	return n->len[0] | (u32)n->len[1] << 8;
}

int is_end(const struct node *n) {
	return n->type == PATH_END;
}

const struct node *next_node(const struct node *n) {
	return (const struct node *)((const u8 *)n + node_size(n));
}

static int is(const struct node *n, u8 type, u8 subtype) {
	return n->type == type && n->subtype == subtype;
}

// path_within takes bytes that nobody has checked and returns them as a path
// only if every node, the end included, lies inside size.
const struct node *path_within(const void *bytes, u64 size) {
	const struct node *n = bytes;
	while (size >= sizeof *n && node_size(n) >= sizeof *n && node_size(n) <= size) {
		if (is_end(n)) {
			return bytes;
		}
		size -= node_size(n);
		n = next_node(n);
	}
	return NULL;
}

// path_size is the length in bytes without the end node.
u64 path_size(const struct node *path) {
	const struct node *n = path;
	while (!is_end(n)) {
		n = next_node(n);
	}
	return (const u8 *)n - (const u8 *)path;
}

// hard_drive_of returns the partition that a path goes through, or NULL.
const struct hard_drive *hard_drive_of(const struct node *path) {
	for (const struct node *n = path; !is_end(n); n = next_node(n)) {
		if (is(n, PATH_MEDIA, MEDIA_HARD_DRIVE) && node_size(n) >= sizeof(struct hard_drive)) {
			return (const struct hard_drive *)n;
		}
	}
	return NULL;
}

// has_prefix is false for an empty prefix: a path to nowhere leads to no disk.
int has_prefix(const struct node *path, const struct node *prefix) {
	u64 n = path_size(prefix);
	return n > 0 && n <= path_size(path) && same_bytes(path, prefix, n);
}

int same_path(const struct node *a, const struct node *b) {
	return has_prefix(a, b) && has_prefix(b, a);
}

// same_drive compares partitions as the boot manager does for short-form
// paths (UEFI 3.1.2): by signature, and by number too, because all partitions
// of an MBR disk share one signature.
int same_drive(const struct hard_drive *a, const struct hard_drive *b) {
	return a->signature_type != SIGNATURE_NONE && a->signature_type == b->signature_type &&
		a->partition == b->partition && same_bytes(a->signature, b->signature, sizeof a->signature);
}

// is_transient is true for a disk reached by USB or by a network, or made in
// memory from a downloaded image. Firmware may call any of them fixed.
int is_transient(const struct node *path) {
	for (const struct node *n = path; !is_end(n); n = next_node(n)) {
		if (is(n, PATH_MEDIA, MEDIA_RAM_DISK)) {
			return 1;
		}
		if (n->type != PATH_MESSAGING) {
			continue;
		}
		switch (n->subtype) {
		case MESSAGING_USB:
		case MESSAGING_USB_CLASS:
		case MESSAGING_USB_WWID:
		case MESSAGING_MAC:
		case MESSAGING_IPV4:
		case MESSAGING_IPV6:
		case MESSAGING_ISCSI:
		case MESSAGING_URI:
		case MESSAGING_NVME_OVER_FABRIC:
			return 1;
		}
	}
	return 0;
}

static const struct node end_node = {PATH_END, END_ENTIRE, {sizeof(struct node), 0}};

// join_nodes returns base followed by rest, kept; NULL when memory is short.
const struct node *join_nodes(const struct node *base, const struct node *rest) {
	u64 head = path_size(base), tail = path_size(rest);
	u8 *p = keep(head + tail + sizeof end_node);
	if (p == NULL) {
		return NULL;
	}
	memcpy(p, base, head);
	memcpy(p + head, rest, tail);
	memcpy(p + head + tail, &end_node, sizeof end_node);
	return (const struct node *)p;
}

// join_file returns base followed by one file path node (UEFI 10.3.5).
const struct node *join_file(const struct node *base, const char16 *name) {
	u64 bytes = (text_length(name) + 1) * sizeof *name;
	u64 size = sizeof(struct node) + bytes;
	u8 *rest = keep(size + sizeof end_node);
	if (rest == NULL) {
		return NULL;
	}
	struct node file = {PATH_MEDIA, MEDIA_FILE, {(u8)size, (u8)(size >> 8)}};
	memcpy(rest, &file, sizeof file);
	memcpy(rest + sizeof file, name, bytes);
	memcpy(rest + size, &end_node, sizeof end_node);
	return join_nodes(base, (const struct node *)rest);
}
