/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What verbs print as JSON: built and written by jansson. Its schemas are docs/schemas, a file a verb; names that are
 * there stay there, in the order in which they are set.
 */
#ifndef MSHV_CMD_JSON_H
#define MSHV_CMD_JSON_H

#include <stdint.h>

#include <jansson.h>

#include "fdinfo.h"

/* JSON's integers have a sign here: what is larger than they can be is the largest. */
void json_set_number(json_t *object, const char *key, uint64_t value);
/* Names come from anywhere: bytes that are no UTF-8 become '?'. */
void json_set_text(json_t *object, const char *key, const char *text);
/* All counters, by their keys; @skip_zero: those that are not 0. */
void json_set_values(json_t *object, const struct stat_value *values, unsigned int count, bool skip_zero);

/* Prints @value and a line's end, and frees it. Returns the exit code: 1, which it has said, without memory. */
int json_print(const char *verb, json_t *value, size_t flags);

#endif
