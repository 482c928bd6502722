# SPDX-License-Identifier: GPL-2.0-or-later
#
# Top Makefile of ckpt: it only dispatches. `make help` prints these lines:
#
#:  make help       this text
#:  make kmod       build/ckpt.ko             KDIR=kernel headers
#:  make vm-test    tests/vm and tests/e2e    KERNEL=6.1|6.12  TEST="name ..."
#:  make clean      remove build/
#
# Caches (kernels, packages) live in ${CKPT_CACHE:-~/.cache/ckpt}, not in the tree.

KERNEL ?= 6.1
MAKEFLAGS += --no-print-directory

help:
	@sed -n 's/^#:  //p' Makefile

install-deps:
	@tests/setup/packages.sh

kmod:
	@tests/run/build-kmod.sh $(KDIR)

vm-test: install-deps
	@tests/run/vm-tests.sh --kernel $(KERNEL) $(TEST)

clean:
	rm -rf build

.PHONY: help install-deps kmod vm-test clean
