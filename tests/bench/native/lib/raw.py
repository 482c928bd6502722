# SPDX-License-Identifier: GPL-2.0-or-later
"""What a checkpoint cannot do without: process_vm_readv and zstd, of memory of a tree that runs."""
import ctypes
import os
import struct
import time
from concurrent.futures import ThreadPoolExecutor

PIECE = 1 << 20
LEVEL = 3
ZSTD = ctypes.CDLL("libzstd.so.1", use_errno=True)
LIBC = ctypes.CDLL(None, use_errno=True)
for function in (ZSTD.ZSTD_compressCCtx, ZSTD.ZSTD_compressBound, LIBC.process_vm_readv):
    function.restype = ctypes.c_ssize_t
ZSTD.ZSTD_createCCtx.restype = ctypes.c_void_p


class Gone(RuntimeError):
    """Who has the memory has ended, or has freed it."""


class Iovec(ctypes.Structure):  # pylint: disable=too-few-public-methods
    """As the system call wants it."""
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def populated(pid):
    """(address, bytes) of the anonymous memory of a process that is there, in pieces."""
    found = []
    with open("/proc/%d/maps" % pid, encoding="utf-8", errors="replace") as file:
        areas = [line.split(None, 5) for line in file]
    with open("/proc/%d/pagemap" % pid, "rb", buffering=0) as pagemap:
        for words in areas:
            start, end = (int(word, 16) for word in words[0].split("-"))
            if not words[1].startswith("rw-p"):
                continue
            while start < end:
                count = min((end - start) // 4096, PIECE // 4096)
                data = os.pread(pagemap.fileno(), count * 8, start // 512)
                if len(data) < count * 8:
                    raise ProcessLookupError
                entries = struct.unpack("%dQ" % count, data)
                run = 0
                for i, entry in enumerate(entries + (0,)):
                    # present, or in swap, and not of a file
                    if entry >> 62 and not entry >> 61 & 1:
                        run += 1
                    elif run:
                        found.append((start + (i - run) * 4096, run * 4096))
                        run = 0
                start += count * 4096
    return found


class Work:
    """So many bytes of the memory of some processes, and room for them."""

    def __init__(self, pids, limit):
        self.calls, self.len, at = [], 0, 0
        for pid in pids:
            batch, size = [], 0
            try:
                pieces = populated(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue                        # it has ended
            for addr, length in pieces:
                length = min(length, limit - self.len)
                if not length:
                    break
                batch.append((addr, length))
                self.len += length
                size += length
                if size >= PIECE or len(batch) == 256:
                    self.calls.append((pid, at, size, batch))
                    at, batch, size = at + size, [], 0
            if batch:
                self.calls.append((pid, at, size, batch))
                at += size
        self.room = ctypes.create_string_buffer(max(self.len, 1))
        self.base = ctypes.addressof(self.room)
        ctypes.memset(self.base, 1, self.len)
        self.lists = [(pid, size, (Iovec * 1)(Iovec(self.base + at, size)),
                       (Iovec * len(batch))(*[Iovec(a, n) for a, n in batch]))
                      for pid, at, size, batch in self.calls]
        self.bound = ZSTD.ZSTD_compressBound(ctypes.c_size_t(PIECE))

    @staticmethod
    def _read(call):
        pid, _, to, of = call
        return max(0, LIBC.process_vm_readv(pid, to, ctypes.c_ulong(1), of,
                                            ctypes.c_ulong(len(of)), ctypes.c_ulong(0)))

    def _read_all(self, pool):
        """Nearly all of it, or the time says nothing: what was freed meanwhile is not read."""
        read = sum(pool.map(self._read, self.lists))
        if read * 10 < self.len * 9:
            raise Gone("process_vm_readv has read %d of %d bytes" % (read, self.len))

    def _press(self, pieces):
        out = ctypes.create_string_buffer(self.bound)
        context = ctypes.c_void_p(ZSTD.ZSTD_createCCtx())
        stored = 0
        for at in pieces:
            size = ZSTD.ZSTD_compressCCtx(
                context, out, ctypes.c_size_t(self.bound), ctypes.c_void_p(self.base + at),
                ctypes.c_size_t(min(PIECE, self.len - at)), LEVEL)
            if size <= 0:
                raise RuntimeError("zstd has compressed nothing")
            stored += size
        ZSTD.ZSTD_freeCCtx(context)
        return stored

    def measure(self):
        """Times in ns, by one thread and by as many as there are processors, and bytes."""
        cores = len(os.sched_getaffinity(0))
        result = {"bytes": self.len}
        for name, n in (("one", 1), ("all", cores)):
            with ThreadPoolExecutor(n) as pool:
                list(pool.map(int, range(n)))
                start = time.monotonic_ns()
                self._read_all(pool)
                result["read_" + name] = time.monotonic_ns() - start
                pieces = range(0, self.len, PIECE)
                start = time.monotonic_ns()
                result["stored"] = sum(pool.map(self._press,
                                                [pieces[i::n] for i in range(n)]))
                result["zstd_" + name] = time.monotonic_ns() - start
        return result
