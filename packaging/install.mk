# SPDX-License-Identifier: GPL-2.0-only
#
# make install, uninstall and dist. Read by the Makefile at the top.
#
# Laws:
#   * Nothing is downloaded and nothing outside of DESTDIR is touched; no user or group is made.
#   * Everything is below PREFIX: udev, kmod and systemd read /usr/local/lib as well as /usr/lib.
#   * uninstall removes the files that install of the same tree puts there, and folders that are ours and empty.
#   * The kernel module is not among them: it belongs to one kernel (README.md: dkms, or make -C driver install).

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
# What is looked up below lib whatever LIBDIR is: payloads beside bin, and files of the system.
AUXDIR := $(PREFIX)/lib
INSTALL ?= install
version := $(shell cat $(top)/VERSION)
so := libmshv.so.$(version)
soname := libmshv.so.$(firstword $(subst ., ,$(version)))
payloads := hello stamp cpu apic synic
rig_scripts := vm initramfs init guest-init
headers := $(wildcard $(top)/include/hvabi/*.h)
pages := $(wildcard $(top)/docs/man/*.[1-9])

# MODE SOURCE DEST, one file a word, so that install and uninstall cannot differ.
install_files = \
	755:$(O)/bin/mshv:$(BINDIR)/mshv \
	$(foreach p,$(payloads),755:$(O)/guest/$(p):$(AUXDIR)/mshv/$(p)) \
	644:$(O)/lib/$(so):$(LIBDIR)/$(so) \
	644:$(O)/lib/libmshv.a:$(LIBDIR)/libmshv.a \
	644:$(O)/lib/libmshv.pc:$(LIBDIR)/pkgconfig/libmshv.pc \
	644:$(top)/vmm/lib/libmshv.h:$(INCLUDEDIR)/mshv/mshv.h \
	$(foreach h,$(headers),644:$(h):$(INCLUDEDIR)/mshv/hvabi/$(notdir $(h))) \
	644:$(top)/include/uapi/mshv.h:$(INCLUDEDIR)/mshv/uapi/mshv.h \
	$(foreach m,$(pages),644:$(m):$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m))) \
	644:$(top)/packaging/mshv.bash-completion:$(COMPDIR)/mshv \
	644:$(top)/packaging/60-mshv.rules:$(AUXDIR)/udev/rules.d/60-mshv.rules \
	644:$(top)/packaging/mshv-movable.conf:$(AUXDIR)/modprobe.d/mshv-movable.conf \
	644:$(top)/packaging/mshv-movable.service:$(AUXDIR)/systemd/system/mshv-movable.service \
	755:$(top)/rig/mshv-rig-vm:$(BINDIR)/mshv-rig-vm \
	$(foreach s,$(rig_scripts),755:$(top)/rig/$(s):$(AUXDIR)/mshv-rig/$(s)) \
	644:$(top)/rig/lib.sh:$(AUXDIR)/mshv-rig/lib.sh \
	644:$(O)/hypervisor/hv.elf:$(AUXDIR)/mshv-rig/hv.elf
install_links = $(LIBDIR)/$(soname):$(so) $(LIBDIR)/libmshv.so:$(soname)
install_folders = $(AUXDIR)/mshv-rig $(AUXDIR)/mshv $(INCLUDEDIR)/mshv/hvabi $(INCLUDEDIR)/mshv/uapi $(INCLUDEDIR)/mshv

field = $(word $(1),$(subst :, ,$(2)))

.PHONY: install uninstall abi-dump dist install-parts $(O)/lib/libmshv.pc

install-parts:
	+$(Q)$(MAKE) -C vmm O=$(O) V=$(V)
	+$(Q)$(MAKE) -C hypervisor O=$(O) V=$(V)

# Depends on PREFIX and LIBDIR, of this call: always made anew.
$(O)/lib/libmshv.pc: packaging/libmshv.pc.in VERSION
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(version)|' $< >$@

install: install-parts $(O)/lib/libmshv.pc
	$(Q)set -e; $(foreach f,$(install_files),$(INSTALL) -D -m $(call field,1,$(f)) $(call field,2,$(f)) '$(DESTDIR)$(call field,3,$(f))';)
	$(Q)set -e; $(foreach l,$(install_links),ln -sfn $(call field,2,$(l)) '$(DESTDIR)$(call field,1,$(l))';)

uninstall:
	$(Q)rm -f $(foreach f,$(install_files),'$(DESTDIR)$(call field,3,$(f))') $(foreach l,$(install_links),'$(DESTDIR)$(call field,1,$(l))')
	$(Q)for d in $(install_folders); do rmdir '$(DESTDIR)'"$$d" 2>/dev/null || true; done

# After a change of the library's interface that is meant: callers that were compiled before must go on to work, or the soname
# changes.
abi-dump: install-parts
	$(Q)abidw --no-corpus-path --no-comp-dir-path --no-show-locs \
		--out-file $(top)/packaging/libmshv.abi $(O)/lib/$(so)

# Of what is committed, with the date of the commit: two calls make the same bytes.
dist:
	$(Q)packaging/dist '$(O)'

# Debian packages, of what is committed. Needs debhelper, dh-dkms, dpkg-dev and lintian.
.PHONY: deb
deb:
	$(Q)packaging/deb '$(O)/deb'
