// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boot and run-time options.
 */
#include "options.h"

struct option_row {
	const char *name;
	u64 most;
};

static const struct option_row rows[HVABI_OPTION_MAX] = {
#define X(id, text, value, most) [HVABI_OPTION_##id] = { text, most },
	HVABI_DEBUG_OPTIONS(X)
#undef X
};

static u64 values[HVABI_OPTION_MAX] = {
#define X(id, text, value, most) [HVABI_OPTION_##id] = value,
	HVABI_DEBUG_OPTIONS(X)
#undef X
};

static u64 memory_requests;
static u64 matching_calls;

u64 option(enum hvabi_debug_option which)
{
	return values[which];
}

bool option_set(enum hvabi_debug_option which, u64 value)
{
	if (which >= HVABI_OPTION_MAX || value > rows[which].most)
		return false;
	values[which] = value;
	switch (which) {
	case HVABI_OPTION_REFUSE_MEMORY_AT:
	case HVABI_OPTION_REFUSE_MEMORY_EVERY:
		memory_requests = 0;
		break;
	case HVABI_OPTION_REFUSE_CALL:
	case HVABI_OPTION_REFUSE_CALL_AT:
		matching_calls = 0;
		break;
	default:
		break;
	}
	return true;
}

static bool parse_number(const char *s, size_t length, u64 *value)
{
	unsigned int base = 10;
	size_t i = 0;

	if (length > 2 && s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		i = 2;
	}
	if (i == length)
		return false;
	for (*value = 0; i < length; i++) {
		char c = (char)(s[i] | 0x20);
		unsigned int digit;

		if (s[i] >= '0' && s[i] <= '9')
			digit = (unsigned int)(s[i] - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned int)(c - 'a') + 10;
		else
			return false;
		if (digit >= base || *value > (UINT64_MAX - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	return true;
}

static bool same(const char *a, const char *s, size_t length)
{
	size_t i = 0;

	while (i < length && a[i] == s[i])
		i++;
	return i == length && !a[i];
}

/* Some values have names. */
static bool parse_value(enum hvabi_debug_option which, const char *s, size_t length, u64 *value)
{
	static const char *const schedulers[] = {
		[HVABI_SCHEDULER_OPTION_ROOT] = "root",
		[HVABI_SCHEDULER_OPTION_INTEGRATED] = "integrated",
	};

	if (which == HVABI_OPTION_SCHEDULER)
		for (*value = 0; *value < ARRAY_SIZE(schedulers); ++*value)
			if (same(schedulers[*value], s, length))
				return true;
	return parse_number(s, length, value);
}

static bool parse_word(const char *word, size_t length)
{
	size_t key = 0;
	u64 value;

	while (key < length && word[key] != '=')
		key++;
	if (key == length)
		return true;
	for (u32 i = 0; i < HVABI_OPTION_MAX; i++) {
		if (!same(rows[i].name, word, key))
			continue;
		return parse_value(i, word + key + 1, length - key - 1, &value) &&
		       option_set(i, value);
	}
	return false;
}

bool option_parse(const char *line, const char **bad)
{
	while (*line) {
		size_t length = 0;

		while (*line == ' ')
			line++;
		while (line[length] && line[length] != ' ')
			length++;
		if (length && !parse_word(line, length)) {
			*bad = line;
			return false;
		}
		line += length;
	}
	return true;
}

bool option_refuses_memory(void)
{
	u64 at = values[HVABI_OPTION_REFUSE_MEMORY_AT];
	u64 every = values[HVABI_OPTION_REFUSE_MEMORY_EVERY], n;

	if (!at && !every)
		return false;
	n = __atomic_add_fetch(&memory_requests, 1, __ATOMIC_RELAXED);
	return n == at || (every && n % every == 0);
}

bool option_refuses_call(u16 code)
{
	if (code == values[HVABI_OPTION_REFUSE_ALWAYS])
		return true;
	if (!values[HVABI_OPTION_REFUSE_CALL_AT] || code != values[HVABI_OPTION_REFUSE_CALL])
		return false;
	return __atomic_add_fetch(&matching_calls, 1, __ATOMIC_RELAXED) == values[HVABI_OPTION_REFUSE_CALL_AT];
}
