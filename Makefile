# SPDX-License-Identifier: GPL-2.0-only
#
# mshv-movable: everything from here. `make help` lists what there is to do.
#
# Everything generated is under $(O). A part of the project is a folder with a
# Makefile of its own, called with O (absolute), KVER and KDIR (a kernel's headers);
# its targets are all (the default), clean and, if it has one, check.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.DEFAULT_GOAL := help

top := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
O ?= $(top)/build
override O := $(abspath $(O))
KVER ?= $(shell $(top)/rig/fetch --default-kver)
QEMU ?= qemu-system-x86_64
V ?=
T ?=
export O KVER QEMU V T
Q := $(if $(V),,@)

# In the order they are built: tests link the library that vmm makes.
parts := $(patsubst %/Makefile,%,$(wildcard hypervisor/Makefile driver/Makefile \
	vmm/Makefile tests/Makefile))
KDIR = $(O)/pkg/$(KVER)/headers
part = +$(Q)$(MAKE) -C $(1) O=$(O) KVER=$(KVER) KDIR=$(KDIR) V=$(V)

# What `make run` boots; the demonstration wants two nodes, a disk to swap to, and a device that does DMA.
RUN_VM ?= --smp 2 --numa 2 --memory 3G --swap 1G --edu --guest --timeout 600
SHELL_VM ?= --smp 2 --numa 2 --memory 2G --swap 1G --edu --guest
GUEST_ARGS ?= --memory 512M --cpus 2

scripts := driver/into-tree packaging/dist packaging/check packaging/deb packaging/mshv.bash-completion rig/mshv-rig-vm rig/fetch rig/kernel rig/initramfs rig/vm rig/lib.sh tests/run tests/clients/build tests/clients/qemu/client-qemu tests/operators/run tests/tree/run bench/run bench/report bench/compare bench/charts bench/overhead tests/packages/run tests/packages/image docs/pictures/make $(wildcard tests/rig/* .ci/*)

include $(top)/packaging/install.mk

.PHONY: help fetch build clients run test test-debug test-peer test-packages test-tree bench bench-compare coverage coverage-driver shell guest check clean distclean $(parts)

help:
	@echo 'make run        build everything and run the demonstration'
	@echo 'make test       build everything and run the tests (T=name: only that one)'
	@echo 'make test-debug the same on a debug kernel (built first: some 20 minutes)'
	@echo "make test-peer  Linux's own driver on the hypervisor, and ours on that kernel (built first: some 15 minutes)"
	@echo 'make test-packages the Debian packages on a Debian of their own (as root; SUITE=bookworm or trixie)'
	@echo "make test-tree  the driver in Linux's own tree: as module, built in, booted (a kernel is built first: some 20 minutes)"
	@echo "make bench      what guests cost: this driver, Linux's own, KVM, side by side (B=M1,M3; BENCH_QUICK=1)"
	@echo "make coverage   which lines the host's unit tests reach"
	@echo "make coverage-driver which lines of the driver its tests reach in the parent (a kernel is built first: some 15 minutes)"
	@echo 'make bench-compare A=OLD.json B=NEW.json  what changed between two runs'
	@echo 'make shell      a root shell in the parent partition, driver loaded'
	@echo 'make guest      a Linux guest with a shell, in the parent partition'
	@echo 'make build      only build'
	@echo 'make check      style, sparse and unit tests: what takes seconds'
	@echo 'make fetch      only install missing tools and download the kernel'
	@echo 'make install    install mshv, libmshv and the rig below PREFIX (/usr/local), DESTDIR before it; uninstall'
	@echo 'make deb        Debian packages in build/deb'
	@echo 'make dist       a tarball of what is committed, the same bytes each time'
	@echo 'make clean      remove what was built; distclean: downloads as well'
	@echo
	@echo 'V=1             show commands and everything tests print'
	@echo 'T=name          one test, or one group of tests (tests/run --list)'
	@echo 'JOBS=n          tests at a time (otherwise what the machine can carry)'
	@echo 'KVER=newest     kernel of the parent: the newest of this Debian, or a series (default 6.12)'
	@echo 'QEMU=program    another QEMU'
	@echo 'O=folder        another build folder'
	@echo
	@echo 'rig/vm --help   boot the parent and run any command in it'

fetch:
	$(Q)rig/fetch --tools --kernel $(KVER)

build: fetch $(parts)

$(parts): fetch
	$(call part,$@)

tests: $(filter-out tests,$(parts))

run: build
	@echo 'Booting QEMU, hypervisor, parent partition (some seconds) ...'
	$(Q)rig/vm $(RUN_VM) -- mshv demo

clients: build
	$(call part,tests) clients

test: clients
	$(Q)tests/run

# The same tests on a kernel that checks everything. What does not depend on the
# kernel is shared with the ordinary build.
debug := $(O)/debug
debug_kernel = $(O)/kernel/debug-$(KVER)
debug_part = +$(Q)$(MAKE) -C $(1) O=$(debug) KVER=debug KDIR=$(debug_kernel)/headers V=$(V)

test-debug: clients
	$(Q)rig/kernel debug
	$(Q)mkdir -p $(debug)/tests/vm
	$(Q)for p in hypervisor bin guest lib vmm pkg; do ln -sfn ../$$p $(debug)/$$p; done
	$(Q)cp $(O)/tests/vm/client-* $(debug)/tests/vm/
	$(call debug_part,driver)
	$(call debug_part,tests)
	$(Q)O=$(debug) VARIANT=debug TIMEOUT_SCALE=8 RIG_BOOT_TIMEOUT=600 \
		VM_ARGS='--kernel $(debug_kernel)/bzImage --modules $(debug_kernel)/modules --driver $(debug)/driver/debug/mshv_movable.ko' \
		tests/run --in-parent

# Linux's own driver on our hypervisor (tests/vm/peer.cfg), and a choice of our driver's tests on the same kernel;
# T=all: all of them. What is built here is one driver more, and the test module.
peer_kernel = $(O)/kernel/peer-$(or $(PEER_KVER),7.3)
peer_part = +$(Q)$(MAKE) -C $(1) O=$(O) KVER=peer KDIR=$(peer_kernel)/headers V=$(V)
peer_tests := peer region ioctl lifecycle misbehave swap dirty pin races waits limits module events rawcall \
	replay cases client-rust-vmm client-hyperlight client-hyperlight-interrupts guest-cpu guest-apic

test-peer: clients
	$(Q)rig/kernel peer
	$(call peer_part,driver)
	$(call peer_part,tests) $(O)/tests/vm/mshv_rawcall.ko
	$(Q)VARIANT=peer T= \
		VM_ARGS='--kernel $(peer_kernel)/bzImage --modules $(peer_kernel)/modules --driver $(O)/driver/peer/mshv_movable.ko' \
		tests/run --in-parent --config tests/vm/peer.cfg --config tests/vm/tests.cfg \
		$(if $(filter all,$(T)),,$(or $(T),$(peer_tests)))

# Builds all that it wants by itself, of what is committed.
test-packages:
	$(Q)tests/packages/run

# The driver as a part of Linux (driver/into-tree); T=tree-6.12, for example: only that.
test-tree: build
	$(Q)T= tests/run --config tests/tree/tests.cfg $(or $(T),tree)

# What guests cost with this driver, with Linux's own and on KVM; on the peer's kernel.
bench: build
	$(call part,bench)
	$(Q)rig/kernel peer
	$(call peer_part,driver)
	$(call peer_part,tests) $(O)/tests/vm/mshv_rawcall.ko
	$(Q)bench/run

# The host's unit tests once more, compiled for gcov in a folder of their own.
coverage: fetch
	+$(Q)$(MAKE) -C tests O=$(O)/coverage V=$(V) sanitize=--coverage units
	$(Q)find $(O)/coverage -name '*.gcda' -delete
	$(Q)for t in $(O)/coverage/tests/unit/test_*; do \
		CMOCKA_MESSAGE_OUTPUT=TAP $$t >$(O)/coverage/log 2>&1 || { cat $(O)/coverage/log; exit 1; }; \
	done
	$(Q)tests/coverage $(O)/coverage

# The driver's lines, counted by the kernel's gcov while tests run in the parent; T=NAME: one test, or one group.
gcov_kernel = $(O)/kernel/gcov-$(KVER)
gcov_part = +$(Q)$(MAKE) -C $(1) O=$(O) KVER=gcov KDIR=$(gcov_kernel)/headers V=$(V)
gcov_tests := region ioctl lifecycle misbehave swap dirty pin races waits kick limits module isolated stat vfio device backing \
	exact prefault events age rawcall module-scheduled scheduled-lifecycle scheduled-events

coverage-driver: build
	$(Q)rig/kernel gcov
	$(call gcov_part,driver) GCOV=1
	$(call gcov_part,tests) $(O)/tests/vm/mshv_rawcall.ko
	$(Q)rm -rf $(O)/gcov && mkdir $(O)/gcov
	$(Q)code=0; T= COLLECT='sh ./gcov.sh /tmp/collected' COLLECT_TO=$(O)/gcov \
		VM_ARGS='--kernel $(gcov_kernel)/bzImage --modules $(gcov_kernel)/modules --driver $(O)/driver/gcov/mshv_movable.ko --add $(top)/tests/vm/gcov.sh' \
		tests/run --in-parent $(or $(T),$(gcov_tests)) || code=$$?; \
	tests/coverage $(O)/driver/gcov $(O)/gcov/*/collected && exit $$code

# What changed between two runs: A=OLD.json B=NEW.json, of one system.
bench-compare:
	$(Q)bench/compare $(A) $(B)

shell: build
	@echo 'Booting; leave the shell with "exit" (Ctrl-A x ends QEMU).'
	$(Q)rig/vm $(SHELL_VM) --shell || [ $$? -lt 124 ]

guest: build
	@echo 'Booting the parent, then a Linux guest in it; leave it with "exit" (Ctrl-A x ends QEMU).'
	$(Q)rig/vm $(SHELL_VM) --shell -- mshv run --kernel /usr/lib/mshv/linux --initrd /usr/lib/mshv/linux.initrd $(GUEST_ARGS) || [ $$? -lt 124 ]

check: fetch build
	$(Q)shellcheck -x $(scripts)
	$(Q)shellcheck -s dash rig/init rig/guest-verify tests/packages/stage docs/pictures/in-parent.sh tests/vm/gcov.sh
	$(Q)mandoc -Tlint -Wwarning $$(grep -L '^\.so ' docs/man/*.[0-9])
	$(Q)tests/docs/links
	+$(Q)set -e; for p in $(parts); do \
		! grep -q '^check:' $$p/Makefile || \
		$(MAKE) -C $$p O=$(O) KVER=$(KVER) KDIR=$(KDIR) V=$(V) check; \
	done
	$(Q)packaging/check $(O)
	$(Q)T= tests/run unit

clean:
	+$(Q)set -e; for p in $(parts); do \
		! grep -q '^clean:' $$p/Makefile || \
		$(MAKE) -C $$p O=$(O) KVER=$(KVER) KDIR=$(KDIR) V=$(V) clean; \
	done
	$(Q)if [ -d '$(O)' ]; then \
		find '$(O)' -mindepth 1 -maxdepth 1 ! -name pkg -exec rm -rf {} +; fi

distclean: clean
	$(Q)rm -rf '$(O)/pkg'
	$(Q)rmdir '$(O)' 2>/dev/null || true
