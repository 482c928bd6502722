#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""plain-fpu.py: run a program to which ptrace shows no extended processor state

usage: plain-fpu.py PROGRAM [ARGUMENT]...
User-mode Linux 6.1 keeps 2696 bytes of it for each of its processes and dies where the
processor has more (AMX).  Refused when it asks for it first, it does with the old format.
"""
import ctypes
import os
import struct
import sys

SYS_PTRACE, PTRACE_GETREGSET, NT_X86_XSTATE, EINVAL = 101, 0x4204, 0x202, 22
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7fff0000, 0x00050000 | EINVAL
NR, ARG0, ARG2 = 0, 16, 32

FILTER = [
    (LOAD, 0, 0, NR), (EQUAL, 0, 5, SYS_PTRACE),
    (LOAD, 0, 0, ARG0), (EQUAL, 0, 3, PTRACE_GETREGSET),
    (LOAD, 0, 0, ARG2), (EQUAL, 0, 1, NT_X86_XSTATE),
    (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW),
]


def main():
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in FILTER))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(FILTER),
                                                      ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        sys.exit(f"plain-fpu.py: {os.strerror(ctypes.get_errno())}")
    os.execv(sys.argv[1], sys.argv[1:])


main()
