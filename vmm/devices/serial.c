// SPDX-License-Identifier: GPL-2.0-only
/* A 16550A, see serial.h. Registers as in the National Semiconductor PC16550D data sheet. */
#include <string.h>

#include "serial.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RECEIVED		0x01u
#define IER_EMPTY		0x02u
#define IER_LINE		0x04u
#define IER_MODEM		0x08u
#define IER_ALL			0x0fu

#define IIR_NONE		0x01u
#define IIR_MODEM		0x00u
#define IIR_EMPTY		0x02u
#define IIR_RECEIVED		0x04u
#define IIR_LINE		0x06u
#define IIR_TIMEOUT		0x0cu
#define IIR_FIFOS		0xc0u

#define FCR_ENABLE		0x01u
#define FCR_CLEAR_RECEIVER	0x02u
#define FCR_CLEAR_TRANSMITTER	0x04u
#define FCR_KEPT		0xc9u	/* trigger level, DMA mode, enable */

#define LCR_DLAB		0x80u

#define MCR_DTR			0x01u
#define MCR_RTS			0x02u
#define MCR_OUT1		0x04u
#define MCR_OUT2		0x08u
#define MCR_LOOP		0x10u
#define MCR_ALL			0x1fu

#define LSR_DATA		0x01u
#define LSR_OVERRUN		0x02u
#define LSR_EMPTY		0x60u	/* holding register, and all of the transmitter */

#define MSR_CTS			0x10u
#define MSR_DSR			0x20u
#define MSR_RI			0x40u
#define MSR_DCD			0x80u
#define MSR_TERI		0x04u	/* RI went away */

static unsigned int capacity(const struct serial *s)
{
	return s->fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
}

static unsigned int trigger(const struct serial *s)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

static uint8_t identification(const struct serial *s)
{
	if (s->ier & IER_LINE && s->errors)
		return IIR_LINE;
	if (s->ier & IER_RECEIVED && s->fifo_count)
		return s->fifo_count >= trigger(s) ? IIR_RECEIVED : IIR_TIMEOUT;
	if (s->ier & IER_EMPTY && s->empty_pending)
		return IIR_EMPTY;
	if (s->ier & IER_MODEM && s->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

/* After every change. */
static void update_line(struct serial *s)
{
	bool level = identification(s) != IIR_NONE && (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	if (level == s->line)
		return;
	s->line = level;
	if (s->interrupt)
		s->interrupt(s->arg, level);
}

static void receive(struct serial *s, uint8_t byte)
{
	if (s->fifo_count == capacity(s)) {
		s->errors |= LSR_OVERRUN;
		/* Without a FIFO the new byte replaces the old one; with it the new one is lost. */
		if (!(s->fcr & FCR_ENABLE))
			s->fifo[s->fifo_first] = byte;
		return;
	}
	s->fifo[(s->fifo_first + s->fifo_count++) % SERIAL_FIFO] = byte;
}

/* From the queue to the receiver, as far as the guest wants it. */
static void feed(struct serial *s)
{
	while ((s->mcr & (MCR_RTS | MCR_LOOP)) == MCR_RTS && s->queue_count &&
	       s->fifo_count < capacity(s)) {
		receive(s, s->queue[s->queue_first]);
		s->queue_first = (s->queue_first + 1) % SERIAL_QUEUE;
		s->queue_count--;
	}
}

/* The modem's lines: a cable that is connected, or this port's own outputs. */
static uint8_t modem_lines(const struct serial *s)
{
	if (!(s->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct serial *s, uint8_t value)
{
	uint8_t before = modem_lines(s), changed;

	s->mcr = value & MCR_ALL;
	changed = before ^ modem_lines(s);
	/* Of RI only its end counts. */
	s->msr_delta |= (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4;
	if (changed & before & MSR_RI)
		s->msr_delta |= MSR_TERI;
}

static void write_fcr(struct serial *s, uint8_t value)
{
	/* Switching FIFOs on or off empties them. */
	if ((value ^ s->fcr) & FCR_ENABLE)
		value |= FCR_CLEAR_RECEIVER | FCR_CLEAR_TRANSMITTER;
	if (value & FCR_CLEAR_RECEIVER)
		s->fifo_count = 0;
	/* The other bits only count together with ENABLE. */
	s->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
}

static void write_register(struct serial *s, unsigned int reg, uint8_t value)
{
	switch (reg) {
	case RBR_THR:
		if (s->lcr & LCR_DLAB) {
			s->dll = value;
			break;
		}
		if (s->mcr & MCR_LOOP)
			receive(s, value);
		else
			output_write(&s->output, &value, 1);
		s->empty_pending = true;
		break;
	case IER:
		if (s->lcr & LCR_DLAB) {
			s->dlm = value;
			break;
		}
		/* An empty transmitter says so to whoever begins to listen. */
		if (value & ~s->ier & IER_EMPTY)
			s->empty_pending = true;
		s->ier = value & IER_ALL;
		break;
	case IIR_FCR:
		write_fcr(s, value);
		break;
	case LCR:
		s->lcr = value;
		break;
	case MCR:
		write_mcr(s, value);
		break;
	case SCR:
		s->scr = value;
		break;
	default:
		/* LSR and MSR are read only; a factory's test mode is none of ours. */
		break;
	}
}

static uint8_t read_register(struct serial *s, unsigned int reg)
{
	uint8_t value = 0;

	switch (reg) {
	case RBR_THR:
		if (s->lcr & LCR_DLAB)
			return s->dll;
		if (s->fifo_count) {
			value = s->fifo[s->fifo_first];
			s->fifo_first = (s->fifo_first + 1) % SERIAL_FIFO;
			s->fifo_count--;
		}
		return value;
	case IER:
		return s->lcr & LCR_DLAB ? s->dlm : s->ier;
	case IIR_FCR:
		value = identification(s);
		if (value == IIR_EMPTY)
			s->empty_pending = false;
		return value | (s->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
	case LCR:
		return s->lcr;
	case MCR:
		return s->mcr;
	case LSR:
		value = LSR_EMPTY | s->errors | (s->fifo_count ? LSR_DATA : 0);
		s->errors = 0;
		return value;
	case MSR:
		value = modem_lines(s) | s->msr_delta;
		s->msr_delta = 0;
		return value;
	default:
		return s->scr;
	}
}

int serial_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value)
{
	struct serial *s = device;
	unsigned int i;

	pthread_mutex_lock(&s->lock);
	/* An eight-bit device: wider accesses are as many of a byte. */
	if (!write)
		*value = 0;
	for (i = 0; i < size; i++) {
		if (write)
			write_register(s, (unsigned int)offset + i, (uint8_t)(*value >> 8 * i));
		else
			*value |= (uint64_t)read_register(s, (unsigned int)offset + i) << 8 * i;
	}
	feed(s);
	update_line(s);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

size_t serial_input(struct serial *s, const uint8_t *bytes, size_t count)
{
	size_t i;

	/* A processor that has it may be waiting for who reads our output: that is no reason to wait as well. */
	if (pthread_mutex_trylock(&s->lock))
		return 0;
	for (i = 0; i < count && s->queue_count < SERIAL_QUEUE; i++)
		s->queue[(s->queue_first + s->queue_count++) % SERIAL_QUEUE] = bytes[i];
	feed(s);
	update_line(s);
	pthread_mutex_unlock(&s->lock);
	return i;
}

void serial_close(struct serial *s)
{
	output_close(&s->output);
}

void serial_init(struct serial *s, int output, void (*interrupt)(void *arg, bool level), void *arg)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	output_init(&s->output, output);
	s->interrupt = interrupt;
	s->arg = arg;
	s->dll = 12;		/* 9600 baud, as a reset PC has it */
}

void serial_destroy(struct serial *s)
{
	pthread_mutex_destroy(&s->lock);
}
