// SPDX-License-Identifier: Apache-2.0
//
// What a C library would give to a program that had one.
#include "localdisk.h"

enum { ARENA_SIZE = 128 * 1024 };

static u8 arena[ARENA_SIZE] __attribute__((aligned(8)));
static u64 used;

// keep returns zeroed memory that lives until forget_all, or NULL when
// all of it is taken: whoever asked then leaves its candidate out.
void *keep(u64 size) {
	if (size > ARENA_SIZE - used) {
		return NULL;
	}
	void *p = arena + used;
	used += (size + 7) & ~7UL;
	return memset(p, 0, size);
}

void forget_all(void) {
	used = 0;
}

// gcc may call memcpy and memset for plain assignments, so they keep their names.
void *memcpy(void *to, const void *from, u64 n) {
	void *p = to;
	__asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int value, u64 n) {
	void *p = to;
	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(value) : "memory");
	return to;
}
