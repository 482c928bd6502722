#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process with no descriptor to spare: nothing can be opened in it, not even for a moment.

usage: no_descriptor.py FILE MIB

Each step writes its number to some pages of so much memory; a line of FILE says the step, and
whether every page has the step that it was last written in.
"""
import os
import resource
import sys
import time

PAGE = 4096
EACH = 40


def expected(page, step, pages):
    """The last step up to this one that has written to the page; 0: none has."""
    first = page // EACH
    turn = pages // EACH
    if step <= first:
        return 0
    return first + 1 + (step - first - 1) // turn * turn


def main():
    out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    pages = int(sys.argv[2]) * 256 // EACH * EACH
    memory = bytearray(os.urandom(PAGE * pages))
    for page in range(pages):
        memory[page * PAGE:page * PAGE + 8] = bytes(8)
    resource.setrlimit(resource.RLIMIT_NOFILE, (out + 1, out + 1))
    step = 0
    while True:
        step += 1
        at = (step - 1) % (pages // EACH) * EACH
        for page in range(at, at + EACH):
            memory[page * PAGE:page * PAGE + 8] = step.to_bytes(8, "little")
        wrong = sum(int.from_bytes(memory[page * PAGE:page * PAGE + 8], "little") !=
                    expected(page, step, pages) for page in range(pages))
        os.write(out, b"%d %d\n" % (step, wrong))
        time.sleep(0.02)


main()
