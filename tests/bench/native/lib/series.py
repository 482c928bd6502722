# SPDX-License-Identifier: GPL-2.0-or-later
"""A series: blocks in which CRIU and ckpt-tool take the same living tree in turn.

A block is a full dump by CRIU, a full checkpoint into a new store, incremental ones on top of it,
and the two things that no checkpoint can do without, of as many bytes.  Each checkpoint is
verified.
"""
import os
import shutil
import time

from lib import raw
from lib.group import tool
from lib.result import note


class Series:  # pylint: disable=too-many-instance-attributes
    """One tree, measured again and again; @criu may be None, where there is none."""

    def __init__(self, group, criu, work, rng):
        self.group, self.criu, self.rng = group, criu, rng
        self.store = os.path.join(work, "store")
        self.images = os.path.join(work, "criu")
        self.full, self.steps, self.gaps, self.restored = [], [], [], []
        self.theirs_refused = self.ours_refused = 0

    def nap(self, least, most):
        """To a seeded instant."""
        time.sleep(self.rng.uniform(least, most))

    def root_pid(self):
        """The process above all others of the tree."""
        pids = set(self.group.pids())
        for pid in pids:
            with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            if parent not in pids:
                return pid
        raise RuntimeError("the tree has no root")

    def dump(self, leave=True):
        """A dump by CRIU, tried again where it meets something that it does not take."""
        for tries in range(5 if self.criu else 0):
            shutil.rmtree(self.images, ignore_errors=True)
            try:
                return self.criu.dump(self.root_pid(), self.images, leave)
            except RuntimeError as why:
                if tries == 4:
                    raise
                self.theirs_refused += 1
                note(str(why).replace("\n", "\n# "))
                self.nap(0.1, 1)
        return {}

    def _take(self):
        """One of ours, tried again as one of theirs is."""
        for tries in range(5):
            gaps = self.group.gaps_size()
            began = time.monotonic_ns()
            try:
                return tool("checkpoint", self.group.name, store=self.store), began, gaps
            except RuntimeError as why:
                if tries == 4:
                    raise
                self.ours_refused += 1
                note(str(why))
                self.nap(0.1, 1)
        return None

    def checkpoint(self, kind):
        """One of ours, which must be of this kind and must verify."""
        said, began, gaps = self._take()
        took = time.monotonic_ns() - began
        if said["kind"] != kind:
            raise RuntimeError("a checkpoint is %s instead of %s" % (said["kind"], kind))
        longest = max(said["freeze_ns"], said["watch_ns"])
        self.gaps.append((self.group.gap_ns(gaps), longest))
        tool("verify", "%s@%d" % (self.group.name, said["id"]), store=self.store)
        return {"freeze": longest, "total": took, "read": said["bytes_read"],
                "stored": said["stored_bytes"], "parts": said.get("freeze_parts", {})}

    def _raw(self, size):
        """As many bytes by hand; again when one of the tree has just ended with a part of them."""
        for tries in range(5):
            try:
                return raw.Work(self.group.pids(), size).measure()
            except raw.Gone:
                if tries == 4:
                    raise
        return None

    def block(self, steps, between):
        """between(): what the tree does before the next step, until a seeded instant."""
        shutil.rmtree(self.store, ignore_errors=True)
        dump = self.dump()
        between()
        full = self.checkpoint("full")
        full.update(raw=self._raw(full["read"]), dump=dump)
        self.full.append(full)
        read = None
        for _ in range(steps):
            between()
            step = self.checkpoint("incremental")
            if not read or step["read"] > read["bytes"]:
                read = self._raw(step["read"])
            step.update(raw=read, dump=dump, full=full)
            self.steps.append(step)
        note("%s: %d full, %d incremental so far" % (self.group.name, len(self.full),
                                                     len(self.steps)))

    def _their_restore(self, gets_on):
        if not self.criu:
            return 0
        pids = self.group.pids()
        self.dump(leave=False)
        self.group.kill(pids)
        took = self.criu.restore(self.images, self.group.enter)
        gets_on()
        return took

    def restores(self, times, whole, gets_on):
        """Both in turn, each time of what has just been captured.

        whole() must be the same before and after; gets_on() waits until the tree has done more.
        """
        for _ in range(times):
            theirs = self._their_restore(gets_on)
            before = whole()
            self._take()
            self.group.kill()
            os.sync()   # nobody is to wait for what the other has left unwritten
            began = time.monotonic_ns()
            tool("restore", self.group.name, store=self.store)
            took = time.monotonic_ns() - began
            if whole() != before:
                raise RuntimeError("what was restored is not what was captured")
            gets_on()
            self.restored.append((took, theirs))


def scaled(taken, what, cores):
    """What was measured of as many bytes, or of a few more, for the bytes of this one."""
    return sum(taken["raw"][name + cores] for name in what) * taken["read"] // \
        max(taken["raw"]["bytes"], 1)


def tell_kind(results, name, taken, criu):
    """Freeze, time and bytes of checkpoints of one kind."""
    against = "CRIU %s, full dump" % criu
    results.tell(name + ", freeze", against,
                 [(t["freeze"], t["dump"].get("freeze")) for t in taken])
    for cores, word in (("_one", "one thread"), ("_all", "all cores")):
        results.tell(name + ", freeze", "process_vm_readv of as many bytes, " + word,
                     [(t["freeze"], scaled(t, ("read",), cores)) for t in taken])
    results.tell(name + ", total", against,
                 [(t["total"], t["dump"].get("total")) for t in taken])
    for cores, word in (("_one", "one thread"), ("_all", "all cores")):
        results.tell(name + ", total", "process_vm_readv and zstd -%d of as many bytes, %s" % (
            raw.LEVEL, word), [(t["total"], scaled(t, ("read", "zstd"), cores)) for t in taken])
    results.tell(name + ", bytes read", against + ", its image",
                 [(t["read"], t["dump"].get("stored")) for t in taken], unit="bytes")
    results.tell(name + ", bytes stored", against + ", its image",
                 [(t["stored"], t["dump"].get("stored")) for t in taken], unit="bytes",
                 target=0.2 if name == "full" else None)
    for part in taken[0]["parts"]:
        results.tell("%s, freeze, %s" % (name, part[:-3]), "all of the freeze",
                     [(t["parts"][part], t["freeze"]) for t in taken])


def tell(results, series, freeze_target=None):
    """All that a series has measured."""
    criu = series.criu.version if series.criu else None
    tell_kind(results, "incremental", series.steps, criu)
    results.tell("incremental, bytes stored", "the full one",
                 [(t["stored"], t["full"]["stored"]) for t in series.steps], unit="bytes",
                 target=0.05 if freeze_target else None)
    results.within("incremental, freeze", [t["freeze"] for t in series.steps],
                   freeze_target or {})
    tell_kind(results, "full", series.full, criu)
    results.tell("full, bytes stored", "zstd -%d of as many bytes" % raw.LEVEL,
                 [(t["stored"], t["raw"]["stored"] * t["read"] // t["raw"]["bytes"])
                  for t in series.full], unit="bytes")
    results.tell("full, freeze", "an incremental one",
                 [(t["full"]["freeze"], t["freeze"]) for t in series.steps], target=1)
    results.tell("restore, verified", "CRIU %s" % criu, series.restored, target=1)
    seen = results.tell("freeze as the tree sees it", "the freeze that is told", series.gaps)
    # a thread that waits for a processor has gaps of its own
    if seen["ratio"] > 1.5 and not results.small:
        raise RuntimeError("the tree is stopped for longer than ckpt-tool tells")
    note("%s: CRIU refused %d times, ckpt-tool %d times; they were asked again" % (
        results.bench, series.theirs_refused, series.ours_refused))
