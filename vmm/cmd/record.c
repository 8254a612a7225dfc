// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv record: samples of every partition over time, into a file of JSON lines that mshv report draws. In the manner of
 * damo record.
 *
 * The first line is the head, each line behind it a sample of one partition (docs/schemas/record.json). Lines are written out
 * whole, so a recorder that is killed leaves a file that can be read.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "fdinfo.h"
#include "json.h"
#include "pages.h"

#define PARTS_MAX	256u
#define SILENT_MAX	64u
#define SILENT_LOOKS	10u

static const char usage[] =
	"usage: mshv record [options] [FILE]\n"
	"\n"
	"Samples each partition and writes it into FILE (default mshv.record, - is standard\n"
	"output), which must not exist: what Linux has of its memory, in which pages; what it\n"
	"lent; every counter; and of a Linux guest of this user the pages that it has used since\n"
	"the sample before. Until Ctrl-C, or as told.\n"
	"\n"
	"  -s, --set-delay SEC interval (default 1)\n"
	"  -n, --count N       end after N samples\n"
	"  -p, --pid PID       only partitions of this process; ends when it is gone\n"
	"  -f, --force         write over a FILE that exists\n"
	"      --parts N       divide each guest's memory into N parts at most (default 64)\n"
	"      --no-heat       do not ask guests which pages they use: Linux' own reclaim asks, too,\n"
	"                      and what one of the two was told the other is not\n";

struct options {
	uint64_t delay, count, pid, parts;
	bool force, no_heat;
	const char *file;
};

static volatile sig_atomic_t over;

static void on_signal(int signal)
{
	(void)signal;
	over = 1;
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- one sample ---- */

static void add_pages(void *arg, uint64_t first, uint64_t count, enum page_state state)
{
	uint64_t *total = arg;

	(void)first;
	total[state] += count;
}

/* -1: the process is gone, or may not be looked into. */
static int add_memory(json_t *sample, const struct stat_partition *p)
{
	uint64_t total[PAGE_STATES] = { 0 }, pages = 0;
	bool large = true;

	for (unsigned int i = 0; i < p->region_count; i++) {
		if (pages_walk(p->pid, p->regions[i].hva, p->regions[i].pages, add_pages, total, &large))
			return -1;
		pages += p->regions[i].pages;
	}
	json_set_number(sample, "memory", pages << 12);
	for (enum page_state state = PAGE_ABSENT; state < PAGE_STATES; state++)
		json_set_number(sample, page_state_names[state], total[state] << 12);
	json_object_set_new(sample, "large-known", json_boolean(large));
	return 0;
}

struct heat {
	pid_t pid;
	uint64_t parts;
	json_t *accessed;
	bool silent;
};

/*
 * VMMs that did not answer in time: the others' samples are not to wait for them again and again. Some looks later they are
 * asked once more; of more than fit the oldest is forgotten.
 */
static struct silent {
	pid_t pid;
	unsigned int looks;	/* to be left out */
} silents[SILENT_MAX];
static unsigned int silent_next;

/* Whether to ask @pid this time. */
static bool may_ask(pid_t pid)
{
	for (unsigned int i = 0; i < SILENT_MAX; i++)
		if (silents[i].pid == pid && silents[i].looks) {
			silents[i].looks--;
			return false;
		}
	return true;
}

/* Said when it begins, not each time. */
static void leave_out(pid_t pid)
{
	for (unsigned int i = 0; i < SILENT_MAX; i++)
		if (silents[i].pid == pid) {
			silents[i].looks = SILENT_LOOKS;
			return;
		}
	silents[silent_next] = (struct silent){ .pid = pid, .looks = SILENT_LOOKS };
	silent_next = (silent_next + 1) % SILENT_MAX;
	cmd_error("record: process %d: no answer within %u seconds: which pages its guest uses is left out", pid,
		  CLIENT_BRIEF);
}

/* The socket of the process, if there is one that this user may ask. */
static int ask_heat(void *arg, const char *name, const char *path)
{
	struct heat *heat = arg;
	json_t *request, *answer;
	pid_t pid;

	(void)name;
	/* Only the one that is asked may be told: asking takes the bits. */
	if (client_peer(path, &pid) || pid != heat->pid)
		return 0;
	request = json_pack("{sssI}", "do", "accessed", "parts", (json_int_t)heat->parts);
	answer = client_ask(path, request, CLIENT_BRIEF, NULL);
	heat->silent = !answer && errno == ETIMEDOUT;
	json_decref(request);
	heat->accessed = json_incref(json_object_get(answer, "accessed"));
	json_decref(answer);
	return 1;
}

/* NULL: the process was gone before it was whole. */
static json_t *make_sample(const struct stat_partition *p, const struct options *o, double time)
{
	struct heat heat = { .pid = p->pid, .parts = o->parts };
	json_t *sample = json_object(), *counters = json_object();

	json_object_set_new(sample, "time", json_real(time));
	json_set_number(sample, "partition", p->id);
	json_set_number(sample, "pid", (uint64_t)p->pid);
	json_set_text(sample, "command", p->command);
	json_set_text(sample, "state", p->state);
	json_object_set_new(sample, "counters", counters);
	json_set_values(counters, p->values, p->count, false);
	if (add_memory(sample, p)) {
		json_decref(sample);
		return NULL;
	}
	if (!o->no_heat && may_ask(p->pid))
		client_for_each(ask_heat, &heat);
	if (heat.silent)
		leave_out(p->pid);
	if (heat.accessed)
		json_object_set_new(sample, "accessed", heat.accessed);
	return sample;
}

static int write_line(FILE *to, json_t *line, const char *file)
{
	int bad = json_dumpf(line, to, JSON_COMPACT | JSON_REAL_PRECISION(12)) || fputc('\n', to) == EOF || fflush(to);
	int error = errno;

	json_decref(line);
	/* Ctrl-C while whoever reads a pipe does not: the end, and what the pipe did not take is not tried again. */
	if (bad && error == EINTR && over) {
		__fpurge(to);
		clearerr(to);
		return 0;
	}
	errno = error;
	return bad ? cmd_error("record: %s: %s", file, strerror(errno)) : 0;
}

/* ---- all of them ---- */

static int write_head(FILE *to, const struct options *o)
{
	json_t *head = json_object();

	json_set_number(head, "mshv-record", 1);
	json_object_set_new(head, "start", json_real(seconds(CLOCK_REALTIME)));
	json_set_number(head, "interval", o->delay);
	json_set_number(head, "parts", o->parts);
	return write_line(to, head, o->file);
}

/* One sample of each. @count: of partitions. */
static int write_samples(FILE *to, const struct options *o, double time, int *count)
{
	struct stat_partition *partitions;
	int ret = 0;

	*count = stat_read((pid_t)o->pid, &partitions);
	if (*count < 0)
		return 0;
	for (int i = 0; i < *count && !ret && !over; i++) {
		json_t *sample = make_sample(&partitions[i], o, time);

		if (sample)
			ret = write_line(to, sample, o->file);
	}
	stat_free(partitions, *count);
	return ret;
}

/* Sleeps until @time of the monotonic clock, or a signal: which is let in only where it ends the sleep. */
static void sleep_until(double time)
{
	sigset_t ends, before;
	double left;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &before);
	while (!over && (left = time - seconds(CLOCK_MONOTONIC)) > 0) {
		struct timespec rest = { .tv_sec = (time_t)left };

		rest.tv_nsec = (long)((left - (double)rest.tv_sec) * 1e9);
		ppoll(NULL, 0, &rest, &before);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static int record(FILE *to, const struct options *o)
{
	double start = seconds(CLOCK_MONOTONIC), next = start, now;
	int count, ret = write_head(to, o);

	for (uint64_t i = 0; !ret && !over && (!o->count || i < o->count); i++) {
		if (i)
			sleep_until(next);
		if (over)
			break;
		now = seconds(CLOCK_MONOTONIC);
		ret = write_samples(to, o, now - start, &count);
		/* The process that was asked for: gone, or nobody's but its parent's to collect. */
		if (!count && o->pid && stat_process_ended((pid_t)o->pid)) {
			errno = ESRCH;
			count = -1;
		}
		if (count < 0 && i)
			break;
		if (count < 0)
			return cmd_error("record: /proc/%" PRIu64 ": %s", o->pid, strerror(errno));
		/* Samples that take longer than the interval come as fast as they can. */
		next += (double)o->delay;
		if (next < now)
			next = now;
	}
	return ret;
}

static FILE *open_file(const struct options *o)
{
	FILE *to;

	if (!strcmp(o->file, "-"))
		return stdout;
	to = fopen(o->file, o->force ? "we" : "wxe");
	if (!to)
		cmd_error("record: %s: %s%s", o->file, strerror(errno), errno == EEXIST ?
			  " (--force writes over it)" : "");
	return to;
}

static int parse(int argc, char **argv, struct options *o)
{
	const struct cmd_option options[] = {
		{ "set-delay", 's', CMD_NUMBER, &o->delay, "1..86400", 1, 86400 },
		{ "count", 'n', CMD_NUMBER, &o->count, "a number", 1, UINT32_MAX },
		{ "pid", 'p', CMD_NUMBER, &o->pid, "a process", 1, INT32_MAX },
		{ "force", 'f', CMD_SET, &o->force, NULL, 0, 0 },
		{ "parts", 0, CMD_NUMBER, &o->parts, "1..256", 1, PARTS_MAX },
		{ "no-heat", 0, CMD_SET, &o->no_heat, NULL, 0, 0 },
		{ 0 },
	};
	int ret;

	*o = (struct options){ .delay = 1, .parts = 64, .file = "mshv.record" };
	ret = cmd_options(argc, argv, usage, options);
	if (ret != CMD_GO_ON)
		return ret;
	return cmd_file_operand(argc, argv, &o->file);
}

int cmd_record(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct options o;
	int ret = parse(argc, argv, &o);
	FILE *to;

	if (ret != CMD_GO_ON)
		return ret;
	if (cmd_no_counters("record"))
		return 1;
	to = open_file(&o);
	if (!to)
		return 1;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	ret = record(to, &o);
	if (to != stdout && fclose(to) && !ret)
		ret = cmd_error("record: %s: %s", o.file, strerror(errno));
	return ret;
}
