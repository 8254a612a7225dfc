// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libmshv: what failed and why, in words, per thread; names of the hypervisor's numbers. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <hvabi/status.h>

#include "internal.h"

#define TEXT_SIZE	256

static _Thread_local char text[TEXT_SIZE] = "no error";

const char *mshv_error(void)
{
	return text;
}

/*
 * The text is made beside the last one, which may be one of its arguments: "outer: %s", mshv_error(). @why (may be NULL)
 * comes behind it if there is room.
 */
static void say(const char *why, const char *format, va_list args)
{
	char new[TEXT_SIZE] = "";
	int n = vsnprintf(new, sizeof(new), format, args);

	if (why && n >= 0 && (size_t)n < sizeof(new))
		snprintf(new + n, sizeof(new) - (size_t)n, ": %s", why);
	memcpy(text, new, sizeof(text));
}

int mshv_fail(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	say(strerror(error), format, args);
	va_end(args);
	errno = error;
	return -1;
}

int mshv_fail_because(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(NULL, format, args);
	va_end(args);
	errno = error;
	return -1;
}

const char *mshv_message_name(uint32_t type)
{
	switch (type) {
#define NAME(name, value) case HVABI_MSG_##name: return #name;
	HVABI_MSG_LIST(NAME)
#undef NAME
	}
	return "unknown message";
}

const char *mshv_status_name(uint16_t status)
{
	switch (status) {
#define NAME(name, value) case HVABI_STATUS_##name: return #name;
	HVABI_STATUS_LIST(NAME)
#undef NAME
	}
	return "unknown status";
}
