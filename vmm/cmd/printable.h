/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text for a terminal that comes from elsewhere: names of processes and files, answers of somebody's VMM. Whoever chose it could
 * move the cursor, colour what follows or write into the title. JSON escapes by itself, and gets the text as it is.
 */
#ifndef MSHV_CMD_PRINTABLE_H
#define MSHV_CMD_PRINTABLE_H

#include <stddef.h>

#define PRINTABLE_MAX	4096u

/*
 * Copies @text to @to, at most @room - 1 bytes, and returns @to. Control characters (ASCII's, the second set, and those that
 * turn the direction of writing), and bytes that are no UTF-8, become '?'.
 */
const char *printable_copy(char *to, size_t room, const char *text);

/* The same; lives as long as the block that it stands in. */
#define printable(text)	printable_copy((char[PRINTABLE_MAX]){ 0 }, PRINTABLE_MAX, (text))

#endif
