/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The clock of a PC: an MC146818 at ports 0x70 (which register) and 0x71 (its value).
 *
 * Laws:
 *   - It tells the time of this machine (CLOCK_REALTIME, UTC), and nobody sets it: what a guest writes to
 *     the time is forgotten. The guest's own clock is its own.
 *   - It has alarms to be written and read, and none that rings: there is no interrupt, and the bits that
 *     would allow one stay 0. Its memory (but for the century) is empty.
 *   - Each register is right for the moment in which it is read. Who reads several looks at the
 *     update-in-progress bit, which is set for the last 2 ms of each second, as the chip has it.
 */
#ifndef DEVICES_RTC_H
#define DEVICES_RTC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define RTC_PORT		0x70u
#define RTC_PORTS		2u
#define RTC_CENTURY_REGISTER	0x32u

struct rtc {
	pthread_mutex_t lock;
	uint8_t index;
	uint8_t a, b;
	uint8_t alarm[3];
	/* Tells the time; clock_gettime() but for tests. */
	int (*clock)(clockid_t which, struct timespec *now);
};

void rtc_init(struct rtc *rtc);
void rtc_destroy(struct rtc *rtc);

/* Access function for the bus. */
int rtc_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value);

#endif
