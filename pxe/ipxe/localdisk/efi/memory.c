// SPDX-License-Identifier: Apache-2.0
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
	used += (size + 7) & ~7ULL;
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

int same_bytes(const void *a, const void *b, u64 n) {
	const u8 *x = a, *y = b;
	while (n > 0 && *x == *y) {
		x++, y++, n--;
	}
	return n == 0;
}

u64 text_length(const char16 *s) {
	u64 n = 0;
	while (s[n] != 0) {
		n++;
	}
	return n;
}
