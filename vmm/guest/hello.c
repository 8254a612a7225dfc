// SPDX-License-Identifier: GPL-2.0-only
/* The smallest payload: the first processor says hello and what it found. */
#include "guest.h"

void guest_main(unsigned int vp, const struct guest_boot *boot)
{
	if (vp != 0)
		return;
	if (boot->magic != GUEST_BOOT_MAGIC)
		guest_exit(1);
	guest_printf("Hello from the guest: %lu MiB, %u processor%s\n",
		     boot->memory_size >> 20, boot->vps, boot->vps == 1 ? "" : "s");
	guest_exit(0);
}
