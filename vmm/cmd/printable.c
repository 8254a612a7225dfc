// SPDX-License-Identifier: GPL-2.0-only
/* Text that a terminal only shows, see printable.h. */
#include <stdint.h>
#include <string.h>

#include "printable.h"

/* The length of the character at @text and its number; 0: no UTF-8 as it has to be (too long, a surrogate, too large). */
static size_t decode(const unsigned char *text, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = text[0] < 0x80 ? 1 : (text[0] & 0xe0) == 0xc0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 :
			(text[0] & 0xf8) == 0xf0 ? 4 : 0;

	if (length <= 1) {
		*character = text[0];
		return length;
	}
	*character = text[0] & (0x7fu >> length);
	/* The end of the text is no such byte either. */
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (text[i] & 0x3f);
	}
	if (*character < least[length] || *character > 0x10ffff || (*character >= 0xd800 && *character < 0xe000))
		return 0;
	return length;
}

static int is_shown(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return 0;
	/* Line and paragraph ends, and what turns the direction. */
	return !(c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069));
}

const char *printable_copy(char *to, size_t room, const char *text)
{
	const unsigned char *from = (const unsigned char *)text;
	size_t used = 0;

	while (*from) {
		uint32_t character;
		size_t length = decode(from, &character);
		int shown = length && is_shown(character);

		if (used + (shown ? length : 1) >= room)
			break;
		if (shown)
			memcpy(to + used, from, length);
		else
			to[used] = '?';
		used += shown ? length : 1;
		from += length ? length : 1;
	}
	to[used] = '\0';
	return to;
}
