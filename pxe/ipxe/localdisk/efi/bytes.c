// SPDX-License-Identifier: Apache-2.0
#include "localdisk.h"

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
