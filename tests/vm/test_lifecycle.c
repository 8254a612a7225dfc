// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests come and go, in good order and in bad, and all memory comes back: law 10 and case 14.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host.h>
#include <session.h>
#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define LOOPS	40

static uint64_t parent_counter(unsigned int counter)
{
	static uint64_t counters[HVABI_COUNT_MAX];

	return mshv_counters(NULL, counters, HVABI_COUNT_MAX) ? ~0ull : counters[counter];
}

/* MemFree after everything that is freed late has been freed, in KiB. */
static long mem_free(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

		if (fd >= 0) {
			if (write(fd, "3", 1) != 1)
				perror("drop_caches");
			close(fd);
		}
		usleep(100000);
	}
	return probe_proc("/proc/meminfo", "MemFree");
}

static enum ktap_result one_guest(bool clean)
{
	struct probe probe;
	uint8_t *memory;
	unsigned int i;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(8 * BLOCK, false);
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, 8 * BLOCK, 0), "%s", mshv_error());
	for (i = 0; i < 64; i++)
		CHECK(probe_write(&probe, PROBE_FREE + i * 60 * PAGE, i) == PROBE_DONE, "%d",
		      probe.error);
	if (clean)
		CHECK(!mshv_region_remove(probe.vm, PROBE_FREE, memory, 8 * BLOCK), "%s",
		      mshv_error());
	probe_close(&probe);
	munmap(memory, 8 * BLOCK);
	return PASS;
}

static enum ktap_result create_destroy(void)
{
	int64_t before;
	long memory;
	int i;

	CHECK_PASS(one_guest(true));
	before = probe_lent();
	memory = mem_free();
	for (i = 0; i < LOOPS; i++)
		CHECK_PASS(one_guest(i & 1));
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	memory -= mem_free();
	ktap_note("%ld KiB less free after %d guests", memory, LOOPS);
	CHECK(ktap_debug_kernel() || memory < LOOPS * 64, "%ld KiB gone", memory);
	return PASS;
}

/* Pages of the parent that nobody but their owner may touch: KPF_OFFLINE in /proc/kpageflags. The last of them in *@last. */
static int64_t offline_pages(uint64_t *last)
{
	static uint64_t flags[4096];
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	int64_t count = 0;
	uint64_t pfn = 0;
	ssize_t size, i;

	while (fd >= 0 && (size = read(fd, flags, sizeof(flags))) > 0) {
		for (i = 0; i < size / 8; i++, pfn++) {
			if (!(flags[i] >> 23 & 1))
				continue;
			count++;
			*last = pfn;
		}
	}
	if (fd >= 0)
		close(fd);
	return count;
}

/*
 * The kernel image's segment claims 1 GiB of addresses from its own on, physical and virtual: behind it are modules, and
 * not the memory that is asked for.
 */
#define KERNEL_IMAGE	0xffffffff80000000ull

/* Reads a page of the parent as debuggers do. Returns 0 or an errno. */
static int read_kcore(uint64_t pfn, uint8_t *page)
{
	int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	uint64_t address = pfn * PAGE;
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	int i, ret = ENOENT;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return errno;
	for (i = 0; i < head.e_phnum && ret == ENOENT; i++) {
		if (pread(fd, &segment, sizeof(segment), head.e_phoff + i * sizeof(segment)) !=
		    sizeof(segment))
			ret = errno;
		else if (segment.p_type == PT_LOAD && segment.p_vaddr < KERNEL_IMAGE &&
			 segment.p_paddr <= address &&
			 address - segment.p_paddr < segment.p_memsz)
			ret = pread(fd, page, PAGE, segment.p_offset + address - segment.p_paddr) ==
			      PAGE ? 0 : errno;
	}
	close(fd);
	return ret;
}

/* What is lent the parent cannot read: a debugger, or the dump of a crash, must know which pages these are. */
static enum ktap_result lent_is_offline(void)
{
	static const uint8_t zeros[PAGE];
	static uint8_t page[PAGE];
	int64_t before, lent, offline;
	bool no_kcore = access("/proc/kcore", F_OK);
	struct probe probe;
	uint64_t last = 0;
	int ret;

	before = offline_pages(&last);
	lent = probe_lent();
	CHECK(!probe_open(&probe), "%s", mshv_error());
	offline = offline_pages(&last) - before;
	lent = probe_lent() - lent;
	ktap_note("%lld pages lent, %lld offline", (long long)lent, (long long)offline);
	/* The driver has a few more in reserve. */
	CHECK(lent > 0 && offline >= lent && offline <= lent + 16);
	memset(page, 1, PAGE);
	ret = no_kcore ? 0 : read_kcore(last, page);
	CHECK(!ret, "%s", strerror(ret));
	CHECK(no_kcore || !memcmp(page, zeros, PAGE), "read from a page that is lent");
	probe_close(&probe);
	offline = offline_pages(&last);
	CHECK(offline == before, "%lld pages offline, before %lld", (long long)offline,
	      (long long)before);
	return no_kcore ? ktap_skip("marked right, but this kernel has no /proc/kcore to read") : PASS;
}

/* A partition in each stage of its youth, closed there. */
static enum ktap_result half_made(void)
{
	struct mshv_create_partition args = { };
	struct mshv_create_vp vp = { };
	int64_t before = probe_lent();
	int device = open("/dev/mshv", O_RDWR | O_CLOEXEC);
	int stage, fd, vp_fd;

	CHECK(device >= 0);
	for (stage = 0; stage < 9; stage++) {
		fd = ioctl(device, MSHV_CREATE_PARTITION, &args);
		CHECK(fd >= 0, "%s", strerror(errno));
		if (stage % 3 > 0)
			CHECK(!ioctl(fd, MSHV_INITIALIZE_PARTITION), "%s", strerror(errno));
		vp_fd = -1;
		if (stage % 3 > 1) {
			vp_fd = ioctl(fd, MSHV_CREATE_VP, &vp);
			CHECK(vp_fd >= 0, "%s", strerror(errno));
		}
		/* Either descriptor may be the last. */
		if (stage & 1) {
			close(fd);
			close(vp_fd);
		} else {
			close(vp_fd);
			close(fd);
		}
	}
	close(device);
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	return PASS;
}

/* A VMM whose two processors run and stamp memory for ever. Tells through the pipe when they do. */
static void busy_vmm(int ready)
{
	struct mshv_session_config config = { .memory_size = 64 << 20, .vps = 2 };
	struct guest_mailbox args = { .first_gfn = GUEST_FREE / PAGE, .pages = 8192, .stride = 2,
				      .version = 1 };
	struct mshv_session *s = mshv_session_open(&config);

	if (!s || mshv_session_boot(s, "stamp"))
		_exit(1);
	args.rounds = 1;
	for (args.offset = 0; args.offset < 2; args.offset++) {
		if (mshv_session_command(s, args.offset, GUEST_COMMAND_STAMP, &args) ||
		    mshv_session_wait(s, args.offset, 60))
			_exit(2);
	}
	args.rounds = 0;
	for (args.offset = 0; args.offset < 2; args.offset++)
		if (mshv_session_command(s, args.offset, GUEST_COMMAND_UPDATE, &args))
			_exit(3);
	if (write(ready, "r", 1) != 1)
		_exit(4);
	for (;;)
		pause();
}

/* What a debug kernel keeps back of freed objects is its own. */
static bool slab_more(long before)
{
	return !ktap_debug_kernel() && probe_proc("/proc/meminfo", "SUnreclaim") >= before + 512;
}

static enum ktap_result killed(void)
{
	int64_t before = probe_lent();
	int i, status, fds[2];
	long memory = 0, slab = 0;
	char byte;
	pid_t pid;

	for (i = 0; i < 7; i++) {
		/* The first one fills caches. */
		if (i == 1) {
			memory = mem_free();
			slab = probe_proc("/proc/meminfo", "SUnreclaim");
		}
		CHECK(!pipe(fds));
		pid = fork();
		if (!pid)
			busy_vmm(fds[1]);
		close(fds[1]);
		CHECK(read(fds[0], &byte, 1) == 1, "the VMM does not come up");
		close(fds[0]);
		usleep(300000);
		CHECK(!kill(pid, SIGKILL));
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "0x%x", status);
	}
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	/* Whoever has a look at an address space when its process ends, as reclaim may, is the one who frees it. */
	for (i = 0; i < 100 && (memory - mem_free() >= 64 << 10 || slab_more(slab)); i++)
		usleep(100000);
	memory -= mem_free();
	ktap_note("%ld KiB less free", memory);
	/*
	 * Six guests had touched 32 MiB each; the lists of free pages that each CPU keeps are some
	 * MiB, and what KASAN keeps back is some more.
	 */
	CHECK(memory < 64 << 10, "%ld KiB gone", memory);
	CHECK(!slab_more(slab), "%ld KiB, before %ld", probe_proc("/proc/meminfo", "SUnreclaim"), slab);
	return PASS;
}

/* The descriptor lives on in another process, the address space does not. */
static enum ktap_result outlived(void)
{
	struct mshv_user_mem_region region = { .size = PAGE, .guest_pfn = 1 << 20, .flags = 1 };
	int64_t before = probe_lent();
	int status, fd, i, sync[2];
	uint64_t pfn = 0;
	struct probe probe;
	pid_t pid;
	char byte = 0;
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(!pipe(sync));
	pid = fork();
	if (!pid) {
		uint8_t *memory = probe_memory(BLOCK, false);
		pid_t heir;

		if (probe_open(&probe) ||
		    mshv_region_add(probe.vm, PROBE_FREE, memory, BLOCK, 0) ||
		    probe_write(&probe, PROBE_FREE, 1) != PROBE_DONE)
			_exit(1);
		*(volatile uint64_t *)page = probe_pfn(memory);
		heir = fork();
		if (heir)
			_exit(0);
		/* The heir waits until the maker is gone. */
		while (getppid() != 1)
			usleep(10000);
		usleep(100000);
		pfn = *(volatile uint64_t *)page;
		region.userspace_addr = (uintptr_t)memory;
		fd = mshv_vm_fd(probe.vm);
		byte = 'k';
		if (probe_reachable(pfn))
			byte = 'r';
		if (ioctl(fd, MSHV_SET_GUEST_MEMORY, &region) != -1 || errno != EPERM)
			byte = 'm';
		if (probe_write(&probe, PROBE_FREE, 1) != PROBE_ERROR || probe.error != EPERM)
			byte = 'w';
		if (write(sync[1], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status, "0x%x", status);
	close(sync[1]);
	CHECK(read(sync[0], &byte, 1) == 1, "no answer");
	CHECK(byte == 'k', "r: page still reachable, m: memory accepted, w: processor runs: %c", byte);
	close(sync[0]);
	munmap(page, PAGE);
	/* The heir goes when it has answered. */
	for (i = 0; i < 100 && probe_lent() != before; i++)
		usleep(50000);
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	return PASS;
}

/* ---- descriptors in other hands ---- */

/* The two descriptors of a guest, and a page of it. */
struct passed {
	int partition;
	int vp;
	uint64_t pfn;
};

static bool send_guest(int socket, const struct passed *guest)
{
	int fds[2] = { guest->partition, guest->vp };
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = { 0 };
	uint64_t pfn = guest->pfn;
	struct iovec data = { &pfn, sizeof(pfn) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	return sendmsg(socket, &message, 0) == sizeof(pfn);
}

static bool receive_guest(int socket, struct passed *guest)
{
	int fds[2];
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control;
	struct iovec data = { &guest->pfn, sizeof(guest->pfn) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(guest->pfn))
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(fds)))
		return false;
	memcpy(fds, CMSG_DATA(header), sizeof(fds));
	guest->partition = fds[0];
	guest->vp = fds[1];
	return true;
}

static bool tell(int socket, char what)
{
	return write(socket, &what, 1) == 1;
}

static char hear(int socket)
{
	char byte;

	return read(socket, &byte, 1) == 1 ? byte : 0;
}

static volatile bool stop_spinning;

/* Linux may call RUN_VP back for work of its own: that is not the end. */
static void *spin(void *arg);

static void *keep_spinning(void *arg)
{
	struct probe *probe = arg;

	do
		spin(probe);
	while (probe->error == EINTR && !stop_spinning);
	return NULL;
}

/*
 * Makes a guest, passes its descriptors on, and does what it is told: s, its processor spins; q, no more; g, the guest works;
 * x, become another program, which answers itself, and waits.
 */
static void maker(int socket)
{
	uint8_t *memory = probe_memory(BLOCK, false);
	struct passed guest;
	struct probe probe;
	pthread_t thread = 0;
	uint64_t value;
	char order;

	if (probe_open(&probe) || mshv_region_add(probe.vm, PROBE_FREE, memory, BLOCK, 0) ||
	    probe_write(&probe, PROBE_FREE, 41) != PROBE_DONE)
		_exit(1);
	guest.partition = mshv_vm_fd(probe.vm);
	guest.vp = mshv_vcpu_fd(probe.vcpu);
	guest.pfn = probe_pfn(memory);
	if (!send_guest(socket, &guest))
		_exit(2);
	while ((order = hear(socket))) {
		switch (order) {
		case 's':
			if (pthread_create(&thread, NULL, keep_spinning, &probe))
				_exit(3);
			usleep(300000);
			if (!pthread_tryjoin_np(thread, NULL))
				_exit(5);
			break;
		case 'q':
			stop_spinning = true;
			while (pthread_tryjoin_np(thread, NULL)) {
				pthread_kill(thread, SIGUSR1);
				usleep(10000);
			}
			if (probe.error != EINTR)
				order = 'f';
			break;
		case 'g':
			if (probe_read(&probe, PROBE_FREE, &value) != PROBE_DONE || value != 41 ||
			    probe_write(&probe, PROBE_FREE + PAGE, 42) != PROBE_DONE ||
			    *(volatile uint64_t *)(memory + PAGE) != 42)
				order = 'f';
			break;
		case 'x':
			if (dup2(socket, 0) == 0 && dup2(socket, 1) == 1)
				execlp("sh", "sh", "-c", "printf x; read answer", NULL);
			_exit(4);
		}
		tell(socket, order);
	}
	_exit(0);
}

/* Everything that needs the guest's address space is refused, at once, and changes nothing. */
static enum ktap_result refused(const struct passed *guest)
{
	struct mshv_user_mem_region region = { .size = PAGE, .guest_pfn = 1 << 20, .flags = 1 };
	struct mshv_run_vp run;
	void *memory = probe_memory(BLOCK, false);
	unsigned int i;

	memset(&run, 0x5a, sizeof(run));
	/* Who would wait for the guest waits for ever: that ends this program. */
	alarm(120);
	CHECK(ioctl(guest->vp, MSHV_RUN_VP, &run) == -1 && errno == EPERM, "%s", strerror(errno));
	alarm(0);
	for (i = 0; i < sizeof(run); i++)
		CHECK(((uint8_t *)&run)[i] == 0x5a, "byte %u of the message", i);
	region.userspace_addr = (uintptr_t)memory;
	CHECK(ioctl(guest->partition, MSHV_SET_GUEST_MEMORY, &region) == -1 && errno == EPERM, "%s",
	      strerror(errno));
	/* Nor can it take the guest's own region away. */
	region.guest_pfn = PROBE_FREE / PAGE;
	region.size = BLOCK;
	region.flags = 1 << MSHV_SET_MEM_BIT_UNMAP;
	CHECK(ioctl(guest->partition, MSHV_SET_GUEST_MEMORY, &region) == -1 && errno == EPERM, "%s",
	      strerror(errno));
	munmap(memory, BLOCK);
	return PASS;
}

static enum ktap_result with_maker(int socket, struct passed *guest)
{
	CHECK(receive_guest(socket, guest), "no descriptors came");
	CHECK(guest->pfn && probe_reachable(guest->pfn));
	CHECK_PASS(refused(guest));
	CHECK(tell(socket, 'g') && hear(socket) == 'g', "the guest does not run where it was made");
	/* The same while its processor is running. */
	CHECK(tell(socket, 's') && hear(socket) == 's');
	CHECK_PASS(refused(guest));
	CHECK(tell(socket, 'q') && hear(socket) == 'q');
	CHECK(tell(socket, 'g') && hear(socket) == 'g');
	/* exec takes the address space; the process lives, and our descriptors do. */
	CHECK(tell(socket, 'x') && hear(socket) == 'x');
	CHECK(!probe_reachable(guest->pfn), "a page of an address space that is gone");
	CHECK_PASS(refused(guest));
	return PASS;
}

/* Descriptors over a socket, to a process that has nothing to do with the guest. */
static enum ktap_result passed_on(void)
{
	struct passed guest = { -1, -1, 0 };
	int64_t before = probe_lent();
	enum ktap_result result;
	int sockets[2], status;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets));
	pid = fork();
	if (!pid) {
		close(sockets[0]);
		maker(sockets[1]);
	}
	close(sockets[1]);
	result = with_maker(sockets[0], &guest);
	/* The last descriptors: the partition goes while its maker, a shell now, goes on. */
	close(guest.vp);
	close(guest.partition);
	if (result == PASS && probe_lent() != before) {
		ktap_note("%lld pages lent, before %lld", (long long)probe_lent(),
			  (long long)before);
		result = FAIL;
	}
	close(sockets[0]);
	waitpid(pid, &status, 0);
	CHECK_PASS(result);
	CHECK(WIFEXITED(status), "0x%x", status);
	return PASS;
}

/* ---- every order of closing ---- */

enum { DEVICE, PARTITION, FIRST_VP, SECOND_VP, STATE_PAGE, HANDLES };

/* A guest by hand: what the library would hold on to is what is closed here. */
struct handles {
	int fd[HANDLES];		/* -1: closed */
	void *state_page;		/* mapped from the first processor's descriptor */
	uint8_t *memory;		/* one page: where a processor starts */
	uint64_t pfn;
};

/* The processor comes out of reset at the page's end, where "out %al, $0x80" is; each run stops there, and stays. */
#define RESET_PAGE	0xfffffull
#define RESET_OFFSET	0xff0u

static enum ktap_result open_all(struct handles *h)
{
	struct mshv_create_partition partition = { };
	struct mshv_user_mem_region region = { .size = PAGE, .guest_pfn = RESET_PAGE };
	struct mshv_create_vp vp = { };

	h->fd[DEVICE] = open("/dev/mshv", O_RDWR | O_CLOEXEC);
	CHECK(h->fd[DEVICE] >= 0, "%s", strerror(errno));
	h->fd[PARTITION] = ioctl(h->fd[DEVICE], MSHV_CREATE_PARTITION, &partition);
	CHECK(h->fd[PARTITION] >= 0, "%s", strerror(errno));
	CHECK(!ioctl(h->fd[PARTITION], MSHV_INITIALIZE_PARTITION), "%s", strerror(errno));
	memcpy(h->memory + RESET_OFFSET, "\xe6\x80", 2);
	region.userspace_addr = (uintptr_t)h->memory;
	region.flags = 1 << MSHV_SET_MEM_BIT_WRITABLE | 1 << MSHV_SET_MEM_BIT_EXECUTABLE;
	CHECK(!ioctl(h->fd[PARTITION], MSHV_SET_GUEST_MEMORY, &region), "%s", strerror(errno));
	for (vp.vp_index = 0; vp.vp_index < 2; vp.vp_index++) {
		h->fd[FIRST_VP + vp.vp_index] = ioctl(h->fd[PARTITION], MSHV_CREATE_VP, &vp);
		CHECK(h->fd[FIRST_VP + vp.vp_index] >= 0, "%s", strerror(errno));
	}
	h->state_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd[FIRST_VP],
			     MSHV_VP_MMAP_OFFSET_REGISTERS * PAGE);
	CHECK(h->state_page != MAP_FAILED, "%s", strerror(errno));
	h->fd[STATE_PAGE] = 0;
	return PASS;
}

static void close_one(struct handles *h, unsigned int which)
{
	if (h->fd[which] < 0)
		return;
	if (which == STATE_PAGE)
		munmap(h->state_page, PAGE);
	else
		close(h->fd[which]);
	h->fd[which] = -1;
}

/* What is left works as if nothing had been closed: the guest's page is taken away, and found again by a fault. */
static enum ktap_result still_works(struct handles *h)
{
	struct mshv_run_vp run;
	unsigned int vp;

	for (vp = FIRST_VP; vp <= SECOND_VP; vp++) {
		const struct hvabi_message *message = (const void *)&run;

		if (h->fd[vp] < 0)
			continue;
		CHECK(!mprotect(h->memory, PAGE, PROT_NONE) &&
		      !mprotect(h->memory, PAGE, PROT_READ | PROT_WRITE));
		CHECK(!probe_reachable(h->pfn));
		memset(&run, 0, sizeof(run));
		while (ioctl(h->fd[vp], MSHV_RUN_VP, &run))
			CHECK(errno == EINTR, "%s", strerror(errno));
		CHECK(message->header.message_type == HVABI_MSG_X64_IO_PORT_INTERCEPT, "%s",
		      mshv_message_name(message->header.message_type));
		CHECK(probe_reachable(h->pfn));
	}
	if (h->fd[STATE_PAGE] >= 0)
		(void)*(volatile uint64_t *)h->state_page;
	return PASS;
}

static enum ktap_result close_in_order(const unsigned int *order, uint8_t *memory)
{
	struct handles h = { .fd = { -1, -1, -1, -1, -1 }, .memory = memory,
			     .pfn = probe_pfn(memory) };
	enum ktap_result result = open_all(&h);
	int64_t before = probe_lent();
	unsigned int i;

	for (i = 0; i < HANDLES && result == PASS; i++) {
		result = still_works(&h);
		close_one(&h, order[i]);
	}
	/* Each holds the partition but the device's. */
	for (i = 0; i < HANDLES; i++)
		close_one(&h, i);
	CHECK_PASS(result);
	CHECK(!probe_reachable(h.pfn), "when all is closed");
	CHECK(probe_lent() < before, "nothing came back");
	return PASS;
}

static enum ktap_result every_order(void)
{
	unsigned int order[HANDLES] = { DEVICE, PARTITION, FIRST_VP, SECOND_VP, STATE_PAGE };
	unsigned int count[HANDLES] = { 0 }, i = 0, orders = 0, swap;
	uint8_t *memory = probe_memory(BLOCK, false);
	int64_t lent;

	memory[0] = 1;
	CHECK(probe_pfn(memory));
	/* The first one may leave the parent's own share behind. */
	CHECK_PASS(close_in_order(order, memory));
	lent = probe_lent();
	/* Heap's algorithm: each order is the last with two exchanged. */
	while (i < HANDLES) {
		if (i && count[i] < i) {
			unsigned int with = i & 1 ? count[i] : 0;

			swap = order[with];
			order[with] = order[i];
			order[i] = swap;
			CHECK_PASS(close_in_order(order, memory));
			CHECK(probe_lent() == lent, "order %u%u%u%u%u: %lld pages lent, before %lld",
			      order[0], order[1], order[2], order[3], order[4],
			      (long long)probe_lent(), (long long)lent);
			orders++;
			count[i]++;
			i = 1;
		} else {
			count[i++] = 0;
		}
	}
	munmap(memory, BLOCK);
	ktap_note("%u orders", orders + 1);
	CHECK(orders + 1 == 120, "%u orders", orders + 1);
	return PASS;
}

/* RUN_VP ends at a signal, also while the guest spins without leaving. */
static void *spin(void *arg)
{
	struct probe *probe = arg;
	struct hvabi_message message;
	/* jmp . */
	probe->boot[0x11000] = 0xeb;
	probe->boot[0x11001] = 0xfe;
	mshv_set_register(probe->vcpu, HVABI_REG_RIP, 0x11000);
	probe->error = mshv_vcpu_run(probe->vcpu, &message) ? errno : 0;
	return NULL;
}

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

/* Only a signal counts, not what Linux calls RUN_VP back for on its own. */
static void *spin_until_signal(void *arg)
{
	struct probe *probe = arg;

	do
		spin(probe);
	while (probe->error == EINTR && !signals);
	return NULL;
}

/* Ticks of this process that Linux has accounted to guests. */
static unsigned long long guest_time(void)
{
	unsigned long long ticks = 0;
	FILE *f = fopen("/proc/self/stat", "r");
	int c = 0, field = 1;

	/* Field 43; the name of the program has no spaces. */
	while (f && field < 43 && (c = fgetc(f)) != EOF)
		field += c == ' ';
	if (!f || fscanf(f, "%llu", &ticks) != 1)
		ticks = 0;
	if (f)
		fclose(f);
	return ticks;
}

static enum ktap_result interrupted(void)
{
	int64_t dispatched = probe_counted(HVABI_COUNT_CALL_DISPATCH_VP);
	struct sigaction action = { .sa_handler = count_signal };
	unsigned long long ticks = guest_time();
	struct probe probe;
	pthread_t thread;
	int i;

	sigaction(SIGUSR1, &action, NULL);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	/*
	 * Where Linux schedules it, its spinning is a guest's time. That is counted by the ticks that come, of which a busy machine
	 * has fewer: it spins until there were some.
	 */
	for (i = 0; i < 20 || (i < 2000 && dispatched < probe_counted(HVABI_COUNT_CALL_DISPATCH_VP) && guest_time() < ticks + 5); i++) {
		signals = 0;
		CHECK(!pthread_create(&thread, NULL, spin_until_signal, &probe));
		usleep(20000);
		do
			pthread_kill(thread, SIGUSR1);
		while (pthread_tryjoin_np(thread, NULL) && !usleep(20000));
		CHECK(probe.error == EINTR, "%d", probe.error);
	}
	dispatched = probe_counted(HVABI_COUNT_CALL_DISPATCH_VP) - dispatched;
	ticks = guest_time() - ticks;
	ktap_note("%llu ticks of guests", ticks);
	CHECK(!dispatched || ticks >= 5, "%llu ticks of guests", ticks);
	probe_close(&probe);
	return PASS;
}

/* What a processor needs that did not come to be is lent once, however often it is tried. */
static enum ktap_result lent_once(void)
{
	struct rlimit files, none;
	int64_t before = probe_lent(), now;
	struct mshv_create_vp vp;
	struct probe probe;
	uint64_t value;
	int fd;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	now = probe_lent();
	/* An index that the hypervisor does not have. */
	for (unsigned int i = 0; i < 200; i++) {
		vp.vp_index = 64 + i % 100;
		CHECK(ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &vp) == -1 && errno == EINVAL, "%s",
		      strerror(errno));
	}
	CHECK(probe_lent() <= now + 90, "%lld pages lent for nothing",
	      (long long)(probe_lent() - now));
	/* No descriptor free. */
	now = probe_lent();
	getrlimit(RLIMIT_NOFILE, &files);
	none = files;
	none.rlim_cur = 3;
	for (fd = dup(0); fd >= 0 && fd < 3; fd = dup(0))
		;
	CHECK(!setrlimit(RLIMIT_NOFILE, &none));
	vp.vp_index = 1;
	for (unsigned int i = 0; i < 200; i++)
		CHECK(ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &vp) == -1 && errno == EMFILE, "%s",
		      strerror(errno));
	CHECK(!setrlimit(RLIMIT_NOFILE, &files));
	close(fd);
	CHECK(probe_lent() == now, "%lld pages lent for nothing", (long long)(probe_lent() - now));
	/* One that comes and goes. */
	for (unsigned int i = 0; i < 100; i++) {
		fd = ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &vp);
		CHECK(fd >= 0, "%s", strerror(errno));
		close(fd);
	}
	CHECK(probe_lent() <= now + 2 * 90, "%lld pages lent for one processor",
	      (long long)(probe_lent() - now));
	/* One refused, one that comes and goes, in turns. */
	for (unsigned int i = 0; i < 50; i++) {
		vp.vp_index = 200;
		CHECK(ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &vp) == -1 && errno == EINVAL);
		vp.vp_index = 1;
		fd = ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &vp);
		CHECK(fd >= 0, "%s", strerror(errno));
		close(fd);
	}
	CHECK(probe_lent() <= now + 2 * 90, "%lld pages lent for one processor and a refused one",
	      (long long)(probe_lent() - now));
	CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE, "errno %d", probe.error);
	probe_close(&probe);
	CHECK(probe_lent() == before, "%lld pages stay lent", (long long)(probe_lent() - before));
	return PASS;
}

/* FINALIZE drops everything at once: nothing is taken away piece by piece before it. */
static enum ktap_result ends_at_once(void)
{
	const uint64_t size = 16 * BLOCK;
	int64_t unmapped, blanked;
	struct probe probe;

	CHECK(probe_open_with(&probe, PROBE_FREE, size, false), "%s", mshv_error());
	for (uint64_t at = 0; at < size; at += PAGE)
		GUEST_WRITES(PROBE_FREE + at, at);
	unmapped = probe_counted(HVABI_COUNT_CALL_UNMAP_GPA_PAGES);
	blanked = probe_counted(HVABI_COUNT_CALL_MAP_GPA_PAGES);
	mshv_vcpu_destroy(probe.vcpu);
	probe.vcpu = NULL;
	close(mshv_vm_fd(probe.vm));
	unmapped = probe_counted(HVABI_COUNT_CALL_UNMAP_GPA_PAGES) - unmapped;
	blanked = probe_counted(HVABI_COUNT_CALL_MAP_GPA_PAGES) - blanked;
	CHECK(!unmapped && !blanked, "%lld unmap calls, %lld blanks", (long long)unmapped,
	      (long long)blanked);
	munmap(probe.memory, size);
	return PASS;
}

static void nothing(int signal)
{
	(void)signal;
}

/*
 * The hypervisor walks a guest's page tables for the VMM, and Linux has taken them: reclaimed, or write-protected where the walk
 * shall set accessed bits.
 */
static enum ktap_result translated(void)
{
	struct hvabi_input_translate_virtual_address in = {
		.control_flags = HVABI_TRANSLATE_VALIDATE_READ, .gva_page = 0x12345,
	};
	struct hvabi_output_translate_virtual_address out;
	struct probe probe;
	uint64_t value;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE, "errno %d", probe.error);
	for (unsigned int i = 0; i < 4; i++) {
		if (i & 1)
			in.control_flags |= HVABI_TRANSLATE_SET_PAGE_TABLE_BITS;
		if (i < 2)
			CHECK(!madvise(probe.boot, 16 * PAGE, 21 /* MADV_PAGEOUT */));
		CHECK(!mprotect(probe.boot, 16 * PAGE, PROT_READ) &&
		      !mprotect(probe.boot, 16 * PAGE, PROT_READ | PROT_WRITE));
		CHECK(!mshv_hypercall(mshv_vcpu_fd(probe.vcpu), HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS,
				      NULL, &in, sizeof(in), &out, sizeof(out), NULL), "%s",
		      mshv_error());
		CHECK(out.result_code == HVABI_TRANSLATE_SUCCESS && out.gpa_page == 0x12345,
		      "round %u: result %u", i, out.result_code);
	}
	/* A signal in between is none of the VMM's, which knows no EINTR of this call. */
	signal(SIGALRM, nothing);
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 2000 }, { 0, 2000 } }, NULL);
	for (unsigned int i = 0; i < 300; i++) {
		int failed;

		CHECK(!mprotect(probe.boot, 16 * PAGE, PROT_READ) &&
		      !mprotect(probe.boot, 16 * PAGE, PROT_READ | PROT_WRITE));
		failed = mshv_hypercall(mshv_vcpu_fd(probe.vcpu), HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS,
					NULL, &in, sizeof(in), &out, sizeof(out), NULL);
		CHECK(!failed && out.result_code == HVABI_TRANSLATE_SUCCESS, "round %u: %s, result %u", i,
		      failed ? strerror(errno) : "", out.result_code);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 0 } }, NULL);
	/* Tables that are nowhere stay an answer. */
	CHECK(!mshv_set_register(probe.vcpu, HVABI_REG_CR3, 1ull << 30));
	CHECK(!mshv_hypercall(mshv_vm_fd(probe.vm), HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, NULL, &in,
			      sizeof(in), &out, sizeof(out), NULL), "%s", mshv_error());
	CHECK(out.result_code == HVABI_TRANSLATE_GPA_UNMAPPED, "%u", out.result_code);
	probe_close(&probe);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "create and destroy", create_destroy },
		{ "what is lent is offline", lent_is_offline },
		{ "half-made partitions", half_made },
		{ "a VMM killed while its guest runs", killed },
		{ "a descriptor that outlives the address space", outlived },
		{ "descriptors passed to another process, and exec", passed_on },
		{ "every order of closing", every_order },
		{ "a signal ends RUN_VP", interrupted },
		{ "lent once, however often it is tried", lent_once },
		{ "ends at once", ends_at_once },
		{ "tables that Linux has taken are translated", translated },
	};

	if (parent_counter(0) == ~0ull) {
		printf("Bail out! no counters: %s\n", mshv_error());
		return 1;
	}
	/* Lists of free pages that CPUs keep are as short as they may be: they do not count as free. */
	host_write("/proc/sys/vm/percpu_pagelist_high_fraction", "10000");
	return KTAP_RUN(tests);
}
