// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv report: draws what mshv record wrote, by gnuplot, as one SVG: a column for each guest with its memory over time, which
 * addresses it used when, and what Linux took memory away for. In the manner of damo report.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "printable.h"
#include "samples.h"

#define GUESTS_MAX	8u
/* Of a heat map; more samples than that are drawn together, each cell as the hottest of them. */
#define HEAT_COLUMNS	200u
#define WIDTH		720u
#define HEIGHT		1080u
#define MIB		(1024.0 * 1024)

static const char usage[] =
	"usage: mshv report [options] [FILE]\n"
	"\n"
	"Draws FILE of mshv record (default mshv.record) as an SVG: memory over time, the\n"
	"addresses that a guest used, invalidations by cause. Says in a line a guest what is in\n"
	"it. Needs gnuplot.\n"
	"\n"
	"  -o, --output FILE   the picture (default mshv.svg)\n"
	"  -g, --guest ID      only the partition with this id\n"
	"      --script        no picture: print the program for gnuplot\n";

/* ---- the program ---- */

/* Names come from anywhere; quotes are doubled. */
static void print_quoted(FILE *to, const char *text)
{
	fputc('\'', to);
	for (text = printable(text); *text; text++) {
		if (*text == '\'')
			fputc('\'', to);
		fputc(*text, to);
	}
	fputc('\'', to);
}

static void print_memory_data(FILE *to, const struct guest_samples *g, size_t n)
{
	fprintf(to, "$memory%zu << END\n", n);
	for (size_t i = 0; i < g->count; i++) {
		const struct sample *s = &g->samples[i];

		fprintf(to, "%.3f %.3f %.3f %.3f %.3f\n", s->time, (double)s->pages[PAGE_LARGE] / MIB,
			(double)s->pages[PAGE_SMALL] / MIB, (double)s->pages[PAGE_SHARED] / MIB,
			(double)s->pages[PAGE_SWAPPED] / MIB);
	}
	fprintf(to, "END\n");
}

/* A rate for each interval; none at the first sample. */
static void print_cause_data(FILE *to, const struct guest_samples *g, size_t n)
{
	fprintf(to, "$causes%zu << END\n", n);
	for (size_t i = 1; i < g->count; i++) {
		const struct sample *s = &g->samples[i];
		double span = s->time - s[-1].time;

		fprintf(to, "%.3f", s->time);
		for (int c = 0; c < CAUSES; c++)
			fprintf(to, " %.3f", span > 0 && s->cause[c] > s[-1].cause[c] ?
				(double)(s->cause[c] - s[-1].cause[c]) / span : 0.0);
		fprintf(to, "\n");
	}
	fprintf(to, "END\n");
}

/* The hottest of some samples, for each part that the first has. */
static void print_heat_column(FILE *to, const struct sample *s, size_t count, double begin, double end)
{
	for (size_t p = 0; p < s[0].part_count; p++) {
		const struct part *part = &s[0].parts[p];
		uint64_t used = 0;

		for (size_t i = 0; i < count; i++)
			if (p < s[i].part_count && s[i].parts[p].address == part->address && s[i].parts[p].used > used)
				used = s[i].parts[p].used;
		fprintf(to, "%.3f %.3f %.3f %.3f %.2f\n", begin, end, (double)part->address / MIB,
			(double)(part->address + part->size) / MIB, 100.0 * (double)used / (double)part->size);
	}
}

/* Whether there is any. */
static bool print_heat_data(FILE *to, const struct guest_samples *g, size_t n)
{
	size_t step = (g->count + HEAT_COLUMNS - 1) / HEAT_COLUMNS;
	bool any = false;

	fprintf(to, "$heat%zu << END\n", n);
	/* What was used before the first sample is not known to belong to any time. */
	for (size_t i = 1; i < g->count; i += step) {
		size_t count = g->count - i < step ? g->count - i : step;

		any |= g->samples[i].part_count > 0;
		print_heat_column(to, &g->samples[i], count, g->samples[i - 1].time, g->samples[i + count - 1].time);
	}
	fprintf(to, "END\n");
	return any;
}

/* An axis that has nothing on it wants an end. */
static const char *cause_range(const struct guest_samples *g)
{
	for (int c = 0; c < CAUSES; c++)
		if (g->samples[g->count - 1].cause[c] > g->samples[0].cause[c])
			return "*";
	return "1";
}

static const char *memory_range(const struct guest_samples *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->samples[i].pages[PAGE_ABSENT] < g->samples[i].memory)
			return "*";
	return "1";
}

/* Stacked from above: what is drawn later covers what is below. */
static void plot_memory(FILE *to, const struct guest_samples *g, size_t n)
{
	char title[160];

	snprintf(title, sizeof(title), "partition %" PRIu64 " (%s, process %d%s%s)", g->partition, g->command, g->pid,
		 strcmp(g->state, "active") ? ", " : "", strcmp(g->state, "active") ? g->state : "");
	fprintf(to, "set title ");
	print_quoted(to, title);
	fprintf(to, " noenhanced\n"
		"set ylabel 'memory (MiB)'\nset yrange [0:%s]\n"
		"plot $memory%zu using 1:($2+$3+$4+$5) with filledcurves y1=0 lc rgb '#c9c9c9' title 'in swap', \\\n"
		" '' using 1:($2+$3+$4) with filledcurves y1=0 lc rgb '#e69f00' title 'shared', \\\n"
		" '' using 1:($2+$3) with filledcurves y1=0 lc rgb '#56b4e9' title 'small pages', \\\n"
		" '' using 1:2 with filledcurves y1=0 lc rgb '#0072b2' title 'large pages'\n", memory_range(g), n);
}

static void plot_heat(FILE *to, size_t n, bool any)
{
	fprintf(to, "set title 'pages used, %% of each part' noenhanced\nset ylabel 'guest address (MiB)'\n");
	if (any)
		fprintf(to, "set yrange [0:*]\nset cbrange [0:100]\n"
			"plot $heat%zu using (($1+$2)/2):(($3+$4)/2):1:2:3:4:5 with boxxyerror fillstyle solid noborder "
			"fillcolor palette notitle\n", n);
	else
		fprintf(to, "set yrange [0:1]\nset label 1 'not known: no Linux guest that this user may ask' "
			"at graph 0.5,0.5 center\nplot NaN notitle\nunset label 1\n");
}

static void plot_causes(FILE *to, const struct guest_samples *g, size_t n)
{
	bool any = g->count > 1;

	fprintf(to, "set title 'invalidations by cause' noenhanced\nset ylabel 'a second'\nset yrange [0:%s]\n"
		"set xlabel 'seconds'\n", cause_range(g));
	if (!any)
		fprintf(to, "set yrange [0:1]\nset label 1 'one sample tells of no time' at graph 0.5,0.5 center\n"
			"plot NaN notitle\nunset label 1\n");
	for (int c = 0; any && c < CAUSES; c++)
		fprintf(to, "%s$causes%zu using 1:%d with lines lw 2 lc %d title '%s'%s", c ? "" : "plot ", n, c + 2, c + 1,
			cause_names[c], c < CAUSES - 1 ? ", \\\n " : "\n");
	fprintf(to, "unset xlabel\n");
}

/* The program, for the first @columns guests. */
static void print_script(FILE *to, const struct record *record, size_t columns)
{
	/* From 1970 to 9999 (samples.c): gmtime() knows them all. */
	time_t start = (time_t)record->start;
	bool heat[GUESTS_MAX];
	double end = 0;
	char date[64];

	for (size_t n = 0; n < columns; n++) {
		const struct guest_samples *g = &record->guests[n];

		print_memory_data(to, g, n);
		heat[n] = print_heat_data(to, g, n);
		print_cause_data(to, g, n);
		if (g->samples[g->count - 1].time > end)
			end = g->samples[g->count - 1].time;
	}
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime(&start));
	fprintf(to, "set terminal svg size %zu,%u background 'white' dynamic\n", columns * WIDTH, HEIGHT);
	fprintf(to, "set multiplot layout 3,%zu columnsfirst title 'from %s' noenhanced\n", columns, date);
	fprintf(to, "set xrange [0:%.3f]\nset key outside right top\nset lmargin 10\nset rmargin 18\n"
		"set palette defined (0 '#f7f7f7', 10 '#fddbc7', 50 '#d6604d', 100 '#67001f')\n", end > 0 ? end : 1);
	for (size_t n = 0; n < columns; n++) {
		plot_memory(to, &record->guests[n], n);
		plot_heat(to, n, heat[n]);
		plot_causes(to, &record->guests[n], n);
	}
	fprintf(to, "unset multiplot\n");
}

/* ---- gnuplot ---- */

/* Never returns. */
static void become_gnuplot(int in, int out)
{
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execlp("gnuplot", "gnuplot", "-", (char *)NULL);
	cmd_error("report: gnuplot: %s (Debian's package gnuplot-nox has it)", strerror(errno));
	_exit(127);
}

/* gnuplot does not notice a full disk: what it wrote has to end as a picture does, and to be on the disk. */
static int check_picture(int fd)
{
	static const char end[] = "</svg>";
	struct stat now;
	char tail[64];
	ssize_t got;

	if (fsync(fd) || fstat(fd, &now))
		return -1;
	got = pread(fd, tail, sizeof(tail), now.st_size > (off_t)sizeof(tail) ? now.st_size - (off_t)sizeof(tail) : 0);
	if (got < 0)
		return -1;
	while (got && (tail[got - 1] == '\n' || tail[got - 1] == '\r' || tail[got - 1] == ' '))
		got--;
	if (got >= (ssize_t)strlen(end) && !memcmp(tail + got - strlen(end), end, strlen(end)))
		return 0;
	errno = ENODATA;
	return -1;
}

/* Waits for gnuplot. Returns the exit code, after saying what went wrong. */
static int await_gnuplot(pid_t pid, const char *output)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return cmd_error("report: wait for gnuplot: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return cmd_error("report: %s: gnuplot was ended by signal %d", output, WTERMSIG(status));
	/* It has said so itself if it was not there. */
	if (WEXITSTATUS(status) == 127)
		return 1;
	if (WEXITSTATUS(status))
		return cmd_error("report: %s: gnuplot has failed", output);
	return 0;
}

/* Draws into @fd. Returns the exit code. */
static int run_gnuplot(const struct record *record, size_t guests, const char *output, int fd)
{
	int pipes[2], ret;
	FILE *to;
	pid_t pid;

	fflush(stdout);
	if (pipe2(pipes, O_CLOEXEC))
		return cmd_error("report: a pipe to gnuplot: %s", strerror(errno));
	to = fdopen(pipes[1], "w");
	pid = to ? fork() : -1;
	if (pid < 0) {
		ret = cmd_error("report: start gnuplot: %s", strerror(errno));
		close(pipes[0]);
		if (!to)
			close(pipes[1]);
		else
			fclose(to);
		return ret;
	}
	if (!pid)
		become_gnuplot(pipes[0], fd);
	/* Ctrl-C is gnuplot's; what it leaves has to be removed. If it ends early, so does the pipe. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	close(pipes[0]);
	print_script(to, record, guests);
	fclose(to);
	return await_gnuplot(pid, output);
}

/* The picture appears under its name only if it is whole. */
static int draw(const struct record *record, size_t guests, const char *output)
{
	char part[4096];
	int fd, ret;

	if ((size_t)snprintf(part, sizeof(part), "%s.part", output) >= sizeof(part))
		return cmd_error("report: %s: %s", output, strerror(ENAMETOOLONG));
	fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return cmd_error("report: %s: %s", part, strerror(errno));
	ret = run_gnuplot(record, guests, output, fd);
	if (!ret && check_picture(fd))
		ret = cmd_error("report: %s: %s", part, errno == ENODATA ? "the picture is not whole (is the disk full?)" :
				strerror(errno));
	if (close(fd) && !ret)
		ret = cmd_error("report: %s: %s", part, strerror(errno));
	if (!ret && rename(part, output))
		ret = cmd_error("report: %s: %s", output, strerror(errno));
	if (ret)
		unlink(part);
	return ret;
}

/* ---- the verb ---- */

static void print_summary(const struct guest_samples *g)
{
	const struct sample *last = &g->samples[g->count - 1];
	uint64_t resident = 0, swapped = 0, causes = 0;

	for (size_t i = 0; i < g->count; i++) {
		const uint64_t *pages = g->samples[i].pages;
		uint64_t here = pages[PAGE_SMALL] + pages[PAGE_LARGE] + pages[PAGE_SHARED];

		resident = here > resident ? here : resident;
		swapped = pages[PAGE_SWAPPED] > swapped ? pages[PAGE_SWAPPED] : swapped;
	}
	for (int c = 0; c < CAUSES; c++)
		causes += last->cause[c] - g->samples[0].cause[c];
	printf("partition %" PRIu64 " (%s, pid %d, %s): %zu samples in %.0f s; of %.0f MiB at most %.0f resident, %.0f in swap; %"
	       PRIu64 " invalidations\n", g->partition, printable(g->command), g->pid, printable(g->state), g->count,
	       last->time - g->samples[0].time, (double)last->memory / MIB, (double)resident / MIB,
	       (double)swapped / MIB, causes);
}

/* Those to show come first: all, or guest @id. Returns how many, 0 after saying why there is none. */
static size_t choose(struct record *record, uint64_t id, const char *file)
{
	size_t i, chosen = 0;

	for (i = 0; i < record->count; i++) {
		struct guest_samples other = record->guests[i];

		if (id && other.partition != id)
			continue;
		record->guests[i] = record->guests[chosen];
		record->guests[chosen++] = other;
	}
	if (!record->count)
		cmd_error("report: %s: no guest ran", file);
	else if (!chosen)
		cmd_error("report: %s: no partition %" PRIu64 " in it", file, id);
	if (chosen > GUESTS_MAX) {
		cmd_error("report: %s: %zu guests are too many for one picture: choose with --guest", file, chosen);
		return 0;
	}
	return chosen;
}

/* For people; a program for gnuplot stays one. */
static int report(const struct record *record, size_t guests, const char *output)
{
	for (size_t i = 0; i < guests; i++)
		print_summary(&record->guests[i]);
	if (record->cut)
		printf("the last line was cut short, and is left out\n");
	return draw(record, guests, output);
}

int cmd_report(int argc, char **argv)
{
	const char *file = "mshv.record", *output = "mshv.svg";
	struct record record;
	uint64_t guest = 0;
	size_t guests;
	bool script = false;
	const struct cmd_option options[] = {
		{ "output", 'o', CMD_TEXT, &output, NULL, 0, 0 },
		{ "guest", 'g', CMD_NUMBER, &guest, "a partition's id", 1, UINT64_MAX },
		{ "script", 0, CMD_SET, &script, NULL, 0, 0 },
		{ 0 },
	};
	int ret = cmd_options(argc, argv, usage, options);

	if (ret == CMD_GO_ON)
		ret = cmd_file_operand(argc, argv, &file);
	if (ret != CMD_GO_ON)
		return ret;
	ret = record_read(file, &record);
	if (ret)
		return ret;
	guests = choose(&record, guest, file);
	if (!guests)
		ret = 1;
	else if (script)
		print_script(stdout, &record, guests);
	else
		ret = report(&record, guests, output);
	record_free(&record);
	return ret;
}
