# SPDX-License-Identifier: GPL-2.0-or-later
#
# Top Makefile of ckpt: it only dispatches. `make help` prints these lines:
#
#:  make all           the tool, the module
#:  make tools         build/ckpt-tool                        D=inject: build/inject, D=asan
#:  make kmod          build/ckpt.ko                          KDIR=kernel headers
#:  make demo          the main job, shown                    DEMO=vm|nomodule|host|agent KERNEL=
#:  make install       ckpt-tool, man pages, DKMS source      DESTDIR= PREFIX=/usr/local
#:  make check         set up what is needed, run every test
#:  make lint          sparse, checkpatch, clang-tidy, include rules    KERNEL=newest
#:  make unit          tests/unit, sanitizers on              TEST="name ..."
#:  make kunit         tests/kunit, user-mode Linux            TEST="suite glob" KERNEL=debug
#:  make selftest      tests/selftests in the VM              TEST="name ..." KERNEL=
#:  make vm-test       tests/vm, e2e and fault                TEST="name ..." KERNEL=
#:  make vm-test KERNEL=debug   KUnit and every selftest, under KASAN, lockdep and kmemleak
#:  make e2e           tests/e2e, at their full counts         TEST="name ..." KERNEL=
#:  make bench         tests/bench, in the VM and natively: ratios   TEST="name ..." KERNEL= JSON=1
#:  make install-deps  the Debian packages of tests/setup/packages.txt
#:  make clean         remove build/
#:
#:  KERNEL is 6.1 (default), 6.12, newest (Debian's on the day) or debug (KASAN, lockdep,
#:  kmemleak; built on first use); V=1 shows commands; caches (kernels, packages) live in
#:  ${CKPT_CACHE:-~/.cache/ckpt}, not in the tree.

KERNEL ?= 6.1
TEST ?=
DEMO ?= both
PREFIX ?= /usr/local
MAKEFLAGS += --no-print-directory
# in parallel, unless the caller has said how
jobs = $(if $(findstring j,$(filter-out --%,$(MAKEFLAGS))),,-j$(shell nproc))
tools = $(MAKE) -f tools/Makefile $(jobs)

version = $(shell sed -n 's/^CKPT_VERSION := //p' kmod/Kbuild)
# where DKMS looks, which no PREFIX changes
dkms_files = $(shell find dkms.conf COPYING kmod uapi -type f)

all: tools $(if $(wildcard kmod/Kbuild),kmod)

help:
	@sed -n 's/^#: \{0,2\}//p' Makefile

install-deps:
	@tests/setup/packages.sh

tools:
	@$(tools) all

kmod:
	@tests/run/build-kmod.sh $(KDIR)

install: tools
	install -D -m 755 build/ckpt-tool $(DESTDIR)$(PREFIX)/sbin/ckpt-tool
	@for page in $(wildcard docs/man/*.[1-9]); do \
		install -D -m 644 -v $$page \
			$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; \
	done
	@for file in $(dkms_files); do \
		install -D -m $$([ -x $$file ] && echo 755 || echo 644) -v $$file \
			$(DESTDIR)/usr/src/ckpt-$(version)/$$file || exit 1; \
	done
	@echo "the module: dkms install ckpt/$(version)"

demo: install-deps test-programs
	@KERNEL=$(if $(filter file,$(origin KERNEL)),,$(KERNEL)) tests/demo/demo.sh $(DEMO)

check:
	@tests/run/check.sh

lint: install-deps
	@KERNEL=$(KERNEL) tests/lint/lint.sh

unit: install-deps
	@$(tools) workloads
	@$(tools) D=asan unit
	@tests/run/unit.sh $(TEST)

kunit: install-deps
	@tests/kunit/run.sh --kernel $(KERNEL) $(TEST)

selftest: install-deps test-programs
	@tests/run/selftests.sh --kernel $(KERNEL) $(TEST)

vm-test: install-deps test-programs
	@$(if $(filter debug,$(KERNEL)$(TEST)),tests/run/debug.sh,\
		tests/run/vm-tests.sh --kernel $(KERNEL) $(TEST))

e2e: install-deps test-programs
	@CKPT_FULL=1 tests/run/vm-tests.sh --kernel $(KERNEL) \
		$(or $(TEST),$(wildcard tests/e2e/*.sh))

bench: install-deps test-programs
	@tests/bench/bench.sh --kernel $(KERNEL) $(if $(JSON),--json) $(TEST)

# what scripts in the VM use: nothing is built in there
test-programs:
	@$(tools) all selftests audit benches workloads
	@$(tools) D=inject all

clean:
	rm -rf build

.PHONY: all help install-deps tools kmod install demo check lint unit kunit selftest vm-test e2e \
	bench test-programs clean
