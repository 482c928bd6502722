#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process of 1 GiB that writes 1, 5 or 25 % of its pages: freeze, time, bytes, restore.

usage: memory_bench.py FOLDER      where the tree, the store and CRIU's images go; made and removed
"""
import os
import random
import sys

from lib import group, series
from lib.criu import criu_if_wanted
from lib.result import Results, note

SMALL = os.environ.get("CKPT_BENCH") == "small"
MIB = 32 if SMALL else 1024
SHARES = (1, 5, 25)
INSTANTS, BLOCKS, RESTORES = (2, 1, 1) if SMALL else (200, 10, 3)
INSTANTS = int(os.environ.get("CKPT_BENCH_INSTANTS", INSTANTS))
BLOCKS = int(os.environ.get("CKPT_BENCH_BLOCKS", BLOCKS))


class Memory(group.Group):
    """The process, to which orders are given one after the other."""

    def begin(self, seed):
        """Start it, until its memory is filled."""
        os.makedirs(self.root)
        self.orders = 0
        with open(self._file("orders"), "w", encoding="ascii"):
            pass
        self.start('exec "$@"', os.path.join(group.REPO, "tests/workloads/dirty_memory.py"),
                   self.root, str(MIB), str(seed))
        group.wait_for(300, "the memory", lambda: self._answers(1))

    def _file(self, name):
        return os.path.join(self.root, name)

    def _answers(self, least=0):
        try:
            with open(self._file("done"), encoding="ascii") as file:
                answers = file.read().split("\n")[:-1]
        except FileNotFoundError:
            return None
        return answers if len(answers) >= least else None

    def order(self, text):
        """Have it do something; what it says of that."""
        self.orders += 1
        with open(self._file("orders"), "a", encoding="ascii") as file:
            file.write(text + "\n")
        group.wait_for(300, text, lambda: self._answers(self.orders + 1))
        number, answer = self._answers()[-1].split()
        if int(number) != self.orders:
            raise RuntimeError("an order was done twice or is lost")
        return answer

    def whole(self):
        """A hash of all that it has."""
        return self.order("hash")


def main():
    """A series for each share."""
    seed = int(os.environ.get("CKPT_SEED", "1"))
    folder = sys.argv[1]
    criu = criu_if_wanted()
    memory = Memory("ckpt-bench-memory-%d" % os.getpid(),
                    os.path.join(folder, "memory"))
    rng = random.Random(seed)
    try:
        memory.begin(seed)
        note("seed %d; %d MiB; of each share %d instants, each verified; %d full ones; "
             "as many dumps by CRIU" % (seed, MIB, INSTANTS, BLOCKS))
        for share in SHARES:
            run = series.Series(memory, criu, folder, rng)

            def between(run=run, share=share):
                memory.order("write %d" % share)
                run.nap(0, 0.1)

            for _ in range(BLOCKS):
                run.block(INSTANTS // BLOCKS, between)
            run.restores(RESTORES, memory.whole, lambda: memory.order("write 1"))
            series.tell(Results("memory, %d %%" % share, SMALL), run)
    finally:
        memory.end()


main()
