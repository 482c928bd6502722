# SPDX-License-Identifier: GPL-2.0-or-later
"""A process without io_uring, as in a container under the usual filter: CRIU takes none with it."""
import ctypes
import errno
import os
import struct

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
IO_URING_SETUP = 425
RET_ERRNO, RET_ALLOW = 0x00050000, 0x7fff0000
PROGRAM = b"".join(struct.pack("<HBBI", *word) for word in (
    (0x20, 0, 0, 0),                            # the number of the call
    (0x15, 0, 1, IO_URING_SETUP),
    (0x06, 0, 0, RET_ERRNO | errno.ENOSYS),
    (0x06, 0, 0, RET_ALLOW)))


def no_io_uring():
    """From now on, for this process and all below it; takes root."""
    code = ctypes.create_string_buffer(PROGRAM)
    text = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(PROGRAM) // 8,
                                                   ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), text, ctypes.c_ulong(0),
                  ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "no filter can be set", os.strerror(
            ctypes.get_errno()))
