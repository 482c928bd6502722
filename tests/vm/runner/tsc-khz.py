#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How many thousand times a second this machine's time stamp counter ticks

An emulated machine has the same counter. It measures that at boot against an emulated timer, and on
a busy machine gets another number now and then, a thirtieth in the worst case: its clock then runs
thirty times too fast.
"""
import ctypes
import mmap
import time

code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))
counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))


def reading():
    """Both clocks at the same instant: of some readings the one that took the shortest."""
    tries = []
    for _ in range(20):
        before = time.monotonic_ns()
        ticks = counter()
        after = time.monotonic_ns()
        tries.append((after - before, (before + after) // 2, ticks))
    return min(tries)[1:]


first = reading()
time.sleep(0.1)
last = reading()
print((last[1] - first[1]) * 1000000 // (last[0] - first[0]))
