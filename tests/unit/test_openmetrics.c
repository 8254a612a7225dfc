// SPDX-License-Identifier: GPL-2.0-only
/* Statistics for Prometheus: the text, and what is answered to requests. Whether it is OpenMetrics tests/rig/operators asks others. */
#include "cmd/openmetrics.h"
#include "vmm.h"

static char *printed(const struct stat_driver *driver, const struct stat_partition *partitions, int count, const struct stat_memory *processes)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	openmetrics_print(to, driver, partitions, count, processes);
	fclose(to);
	return text;
}

static void has(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at)
		print_message("# not there: %s\n", line);
	assert_non_null(at);
	assert_true(at == text || at[-1] == '\n');
}

static void numbers(void **state)
{
	struct stat_value values[] = {
		{ "faults-served", 12 }, { "faults-on-poison", 1 }, { "faults-without-memory", 0 }, { "pages-mapped-small", 3 }, { "pages-mapped-large", 512 },
		{ "pages-taken-away", 5 }, { "invalidations-clear", 7 }, { "deposited-pages", 300 }, { "map-calls", 9 },
		{ "of-tomorrow", 77 },
	};
	struct stat_value large[] = { { "blocks-large", 3 }, { "blocks-small", 2 } };
	struct stat_region regions[] = {
		{ .pages = 1024, .kind = "movable", .values = large, .count = 2 },
		{ .pages = 512, .kind = "pinned", .values = large, .count = 2 },
	};
	struct stat_partition p = {
		.id = 5, .pid = 42, .command = "a\"b\\c\nd\xe4", .state = "dead", .values = values,
		.count = sizeof(values) / sizeof(values[0]), .regions = regions, .region_count = 2,
	};
	struct stat_driver driver = { .killed = 3, .known = true };
	struct stat_memory process = { .resident = 8192, .swapped = 4096, .known = true };
	char *text = printed(&driver, &p, 1, &process);

	(void)state;
	has(text, "mshv_partitions 1\n");
	has(text, "mshv_partitions_killed_total 3\n");
	has(text, "mshv_partition_info{partition=\"5\",pid=\"42\",command=\"a\\\"b\\\\c\\nd?\"} 1\n");
	has(text, "mshv_partition_state{partition=\"5\",pid=\"42\",mshv_partition_state=\"dead\"} 1\n");
	has(text, "mshv_partition_state{partition=\"5\",pid=\"42\",mshv_partition_state=\"active\"} 0\n");
	has(text, "# UNIT mshv_memory_bytes bytes\n");
	has(text, "mshv_memory_bytes{partition=\"5\",pid=\"42\",kind=\"movable\"} 4194304\n");
	has(text, "mshv_memory_bytes{partition=\"5\",pid=\"42\",kind=\"pinned\"} 2097152\n");
	has(text, "mshv_vmm_swapped_bytes{partition=\"5\",pid=\"42\"} 4096\n");
	has(text, "mshv_deposited_bytes{partition=\"5\",pid=\"42\"} 1228800\n");
	has(text, "mshv_faults_total{partition=\"5\",pid=\"42\",result=\"served\"} 12\n");
	has(text, "mshv_faults_total{partition=\"5\",pid=\"42\",result=\"no_memory\"} 0\n");
	has(text, "mshv_mapped_bytes_total{partition=\"5\",pid=\"42\",map=\"large\"} 2097152\n");
	has(text, "mshv_mapped_large_bytes{partition=\"5\",pid=\"42\"} 12582912\n");
	has(text, "mshv_blocks{partition=\"5\",pid=\"42\",map=\"small\"} 4\n");
	has(text, "mshv_taken_bytes_total{partition=\"5\",pid=\"42\"} 20480\n");
	/* What this driver counts not is no zero. */
	assert_null(strstr(text, "result=\"no_page\""));
	assert_null(strstr(text, "mshv_age_young_total{"));
	/* What a later driver counts, and nothing that has a name. */
	has(text, "mshv_other{partition=\"5\",pid=\"42\",key=\"of-tomorrow\"} 77\n");
	assert_null(strstr(strstr(text, "mshv_other{") + 1, "mshv_other{"));
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	free(text);
	/* A process that may not be looked into has no numbers, which is not 0. */
	process.known = false;
	driver.known = false;
	text = printed(&driver, &p, 1, &process);
	assert_null(strstr(text, "mshv_vmm_resident_bytes{"));
	assert_null(strstr(text, "mshv_partitions_killed_total"));
	free(text);
	text = printed(&driver, NULL, 0, NULL);
	has(text, "mshv_partitions 0\n");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	free(text);
}

static void requests(void **state)
{
	static const struct { const char *head; int status; } cases[] = {
		{ "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 200 }, { "GET /metrics HTTP/1.0\n\n", 200 },
		{ "GET /metrics?x=1 HTTP/1.1\r\n\r\n", 200 }, { "GET / HTTP/1.1\r\n\r\n", 404 },
		{ "GET /metrics/ HTTP/1.1\r\n\r\n", 404 }, { "POST /metrics HTTP/1.1\r\n\r\n", 405 },
		{ "HEAD /metrics HTTP/1.1\r\n\r\n", 200 }, { "HEAD / HTTP/1.1\r\n\r\n", 404 }, { "PUT /metrics HTTP/1.1\r\n\r\n", 405 }, { "get /metrics HTTP/1.1\r\n\r\n", 400 },
		{ "GET /metrics\r\n\r\n", 400 }, { "GET /metrics HTTP/2\r\n\r\n", 400 }, { "", 400 }, { "\r\n\r\n", 400 },
		{ "GET /metrics HTTP/1.1 x\r\n\r\n", 400 }, { "GET  HTTP/1.1\r\n\r\n", 400 },
	};
	const char *reason;
	char head[8192];

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reason = NULL;
		assert_int_equal(openmetrics_request(cases[i].head, strlen(cases[i].head), &reason), cases[i].status);
		assert_non_null(reason);
	}
	/* A question that is long is one all the same. */
	snprintf(head, sizeof(head), "GET /metrics?x=%03000d HTTP/1.1\r\n\r\n", 0);
	assert_int_equal(openmetrics_request(head, strlen(head), &reason), 200);
	/* A first line without an end, or that is longer than any of ours; a zero within. */
	memset(head, 'A', sizeof(head));
	assert_int_equal(openmetrics_request(head, sizeof(head), &reason), 400);
	head[5000] = '\n';
	assert_int_equal(openmetrics_request(head, sizeof(head), &reason), 400);
	assert_int_equal(openmetrics_request("GET /metrics\0 HTTP/1.1\r\n\r\n", 26, &reason), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(numbers), cmocka_unit_test(requests) };

	return cmocka_run_group_tests_name("openmetrics", tests, NULL, NULL);
}
