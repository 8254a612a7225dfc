// SPDX-License-Identifier: GPL-2.0-only
/* The clock of a PC, see rtc.h. Registers as in the Motorola MC146818A data sheet. */
#include <string.h>

#include "rtc.h"

enum {
	SECONDS = 0x00, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM,
	DAY_OF_WEEK, DAY, MONTH, YEAR, A, B, C, D,
};

#define INDEX_MASK		0x7fu	/* bit 7 is of the NMI, which we have not */
#define A_UPDATE_IN_PROGRESS	0x80u
#define A_RESET			0x26u	/* 32.768 kHz; a rate, which a PC has there */
#define B_SET			0x80u	/* no updates */
#define B_BINARY		0x04u
#define B_24_HOURS		0x02u
/* What of it can be written: not the bits that allow interrupts, nor a square wave that nobody sees. */
#define B_WRITABLE		(B_SET | B_BINARY | B_24_HOURS | 0x01u)
#define D_VALID			0x80u	/* the battery is good */
#define HOURS_PM		0x80u

#define SECOND_NS		1000000000L
#define UPDATE_NS		2000000L

static uint8_t in_format(const struct rtc *rtc, int number)
{
	return (uint8_t)(rtc->b & B_BINARY ? number : number / 10 << 4 | number % 10);
}

static uint8_t hours(const struct rtc *rtc, int hour)
{
	if (rtc->b & B_24_HOURS)
		return in_format(rtc, hour);
	return in_format(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOURS_PM : 0);
}

static uint8_t read_register(const struct rtc *rtc)
{
	struct timespec now = { 0 };
	struct tm tm = { 0 };

	rtc->clock(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	switch (rtc->index) {
	case SECONDS:
		/* A leap second is one that it does not know. */
		return in_format(rtc, tm.tm_sec > 59 ? 59 : tm.tm_sec);
	case MINUTES:
		return in_format(rtc, tm.tm_min);
	case HOURS:
		return hours(rtc, tm.tm_hour);
	case SECONDS_ALARM:
	case MINUTES_ALARM:
	case HOURS_ALARM:
		return rtc->alarm[rtc->index / 2];
	case DAY_OF_WEEK:
		return in_format(rtc, tm.tm_wday + 1);
	case DAY:
		return in_format(rtc, tm.tm_mday);
	case MONTH:
		return in_format(rtc, tm.tm_mon + 1);
	case YEAR:
		return in_format(rtc, tm.tm_year % 100);
	case RTC_CENTURY_REGISTER:
		return in_format(rtc, tm.tm_year / 100 + 19);
	case A:
		return rtc->a | (!(rtc->b & B_SET) && now.tv_nsec >= SECOND_NS - UPDATE_NS ?
				 A_UPDATE_IN_PROGRESS : 0);
	case B:
		return rtc->b;
	case D:
		return D_VALID;
	default:
		return 0;
	}
}

static void write_register(struct rtc *rtc, uint8_t value)
{
	switch (rtc->index) {
	case SECONDS_ALARM:
	case MINUTES_ALARM:
	case HOURS_ALARM:
		rtc->alarm[rtc->index / 2] = value;
		break;
	case A:
		rtc->a = value & (uint8_t)~A_UPDATE_IN_PROGRESS;
		break;
	case B:
		rtc->b = value & B_WRITABLE;
		break;
	}
}

int rtc_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value)
{
	struct rtc *rtc = device;
	uint64_t data = 0;
	unsigned int i;

	pthread_mutex_lock(&rtc->lock);
	/* An eight-bit device: wider accesses are as many of a byte. */
	for (i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(*value >> 8 * i);

		if (!write)
			data |= (uint64_t)(offset + i ? read_register(rtc) : rtc->index) << 8 * i;
		else if (offset + i)
			write_register(rtc, byte);
		else
			rtc->index = byte & INDEX_MASK;
	}
	pthread_mutex_unlock(&rtc->lock);
	if (!write)
		*value = data;
	return 0;
}

void rtc_init(struct rtc *rtc)
{
	memset(rtc, 0, sizeof(*rtc));
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->a = A_RESET;
	rtc->b = B_24_HOURS;
	rtc->clock = clock_gettime;
}

void rtc_destroy(struct rtc *rtc)
{
	pthread_mutex_destroy(&rtc->lock);
}
