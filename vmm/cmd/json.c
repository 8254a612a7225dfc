// SPDX-License-Identifier: GPL-2.0-only
/* JSON of the verbs, see json.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "json.h"

void json_set_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

void json_set_text(json_t *object, const char *key, const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (!value) {
		copy = strdup(text);
		for (char *c = copy; c && *c; c++)
			if (*c & 0x80)
				*c = '?';
		value = json_string(copy);
		free(copy);
	}
	json_object_set_new(object, key, value);
}

void json_set_values(json_t *object, const struct stat_value *values, unsigned int count, bool skip_zero)
{
	for (unsigned int i = 0; i < count; i++)
		if (values[i].value || !skip_zero)
			json_set_number(object, values[i].key, values[i].value);
}

int json_print(const char *verb, json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags);

	json_decref(value);
	if (!text)
		return cmd_error("%s: no memory for the answer", verb);
	puts(text);
	free(text);
	return 0;
}
