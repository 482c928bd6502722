# SPDX-License-Identifier: GPL-2.0-or-later
"""CRIU, as a bench runs it: dump, restore, and what it says of them."""
import os
import struct
import subprocess
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATS_MAGIC = 0x57093306
# of StatsEntry and DumpStatsEntry in CRIU's images, by the numbers of their fields
DUMP, FREEZING_US, FROZEN_US = 1, 1, 2


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """The numbers and messages of a protobuf message, by the number of their field."""
    found, at = {}, 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        elif key & 7:
            raise ValueError("a field of an unknown kind in CRIU's statistics")
        found[key >> 3] = value
    return found


def frozen_ns(folder):
    """How long a dump held its tree: until all had stopped, and from then on."""
    with open(os.path.join(folder, "stats-dump"), "rb") as file:
        _, magic, size = struct.unpack("<III", file.read(12))
        data = file.read(size)
    if magic != STATS_MAGIC or len(data) != size:
        raise ValueError("CRIU's statistics are not of a known form")
    stats = fields(fields(data)[DUMP])
    return (stats[FREEZING_US] + stats[FROZEN_US]) * 1000


def _size(folder):
    return sum(entry.stat().st_size for entry in os.scandir(folder)
               if entry.name.endswith(".img"))


def criu_if_wanted():
    """A run that only shows that all works may be one without CRIU (CKPT_BENCH_CRIU=no)."""
    return None if os.environ.get("CKPT_BENCH_CRIU") == "no" else Criu()


class Criu:
    """The program in the cache's folder."""

    def __init__(self):
        said = subprocess.run([os.path.join(HERE, "criu.sh")], check=True,
                              stdout=subprocess.PIPE).stdout.decode().splitlines()
        self.version = said[0]
        self.command = said[1].split()

    def _run(self, folder, words, before=None):
        log = words[0] + ".log"
        start = time.monotonic_ns()
        status = subprocess.run(
            self.command + words + ["-D", folder, "-o", log, "-v1", "--tcp-established",
                                    "--network-lock", "skip", "--manage-cgroups=ignore",
                                    "--file-locks", "--link-remap"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=before, check=False).returncode
        took = time.monotonic_ns() - start
        if status:
            with open(os.path.join(folder, log), encoding="utf-8", errors="replace") as file:
                raise RuntimeError("criu %s failed:\n%s" % (words[0], file.read()))
        return took

    def dump(self, pid, folder, leave):
        """A full dump of the tree of pid, which runs on or is killed."""
        os.makedirs(folder)
        total = self._run(folder, ["dump", "-t", str(pid)] + ["--leave-running"] * leave)
        return {"total": total, "freeze": frozen_ns(folder), "stored": _size(folder)}

    def restore(self, folder, before):
        """Restore it; before() runs in the process that becomes CRIU.  Return: ns."""
        return self._run(folder, ["restore", "-d"], before)
