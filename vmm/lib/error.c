// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libmshv: what failed and why, in words, per thread; names of the hypervisor's numbers. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <hvabi/status.h>

#include "internal.h"

static _Thread_local char text[256] = "no error";

const char *mshv_error(void)
{
	return text;
}

int mshv_fail(const char *format, ...)
{
	int error = errno, n;
	va_list args;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s", strerror(error));
	errno = error;
	return -1;
}

int mshv_fail_because(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
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
