// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hypervisor lock itself.  Rules: lock.h.
 */
#include "lock.h"

struct ticket_lock hv_lock;
