#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes as Python programs have them: multiprocessing, shared memory, pipelines of subprocess

usage: python_processes.py STEPS MODEL      (see journal.py)
"""
import hashlib
import multiprocessing
import subprocess
import sys
import time
from multiprocessing import shared_memory

sys.dont_write_bytecode = True
import journal
from journal import SLOW, must

WORKERS = 3
MEMORY = 1 << 20


def worker(number, name, pipe, lock, total):
    """One that stays: changes its pages of the shared memory, and counts."""
    memory = shared_memory.SharedMemory(name)
    mine = hashlib.sha256(b"%d" % number)
    for step in iter(pipe.recv, None):
        at = (step * 7919 % (MEMORY // 4096 // WORKERS) * WORKERS + number) * 4096
        mine.update(b"%d" % step)
        memory.buf[at:at + 32] = mine.digest()
        for _ in range(20):
            with lock:
                total.value += number + 1
        pipe.send((step, at, mine.digest()))
    memory.close()


def short_lived(step, number, results):
    """One that ends with its step."""
    time.sleep((0.03 + 0.02 * number) * SLOW)
    results.put((number, hashlib.sha256(b"%d %d" % (step, number)).digest()))
    sys.exit(step % 5)


class Workers:
    """Those that stay, what they share, and what they are asked by."""

    def __init__(self, context):
        self.memory = shared_memory.SharedMemory(create=True, size=MEMORY)
        self.lock, self.total = context.Lock(), context.Value("q", 0, lock=False)
        self.pipes, self.all = [], []
        for number in range(WORKERS):
            ours, theirs = context.Pipe()
            self.pipes.append(ours)
            self.all.append(context.Process(target=worker, args=(
                number, self.memory.name, theirs, self.lock, self.total)))
            self.all[-1].start()
            theirs.close()

    def ask(self, step):
        """All at once."""
        for pipe in self.pipes:
            pipe.send(step)

    def hear(self, step):
        """What they say must be in the memory."""
        for pipe in self.pipes:
            number, at, digest = pipe.recv()
            must(number == step, "an answer to step %d in step %d" % (number, step))
            must(bytes(self.memory.buf[at:at + 32]) == digest, "a page is not as it was written")
            yield digest
        must(self.total.value == step * 20 * sum(range(1, WORKERS + 1)), "an addition is lost")

    def end(self):
        """In order."""
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.all:
            process.join(60)
            must(process.exitcode == 0, "a worker ended with %s" % process.exitcode)
        self.memory.close()
        self.memory.unlink()


def pipeline(step):
    """Three programs, one after the other."""
    seq = subprocess.Popen(["sh", "-c", "seq %d; sleep %g; echo $((%d * 7))" %
                            (step % 50 + 1, 0.04 * SLOW, step)], stdout=subprocess.PIPE)
    sort = subprocess.Popen(["sort", "-r"], stdin=seq.stdout, stdout=subprocess.PIPE)
    seq.stdout.close()
    digest = subprocess.Popen(["sha256sum"], stdin=sort.stdout, stdout=subprocess.PIPE)
    sort.stdout.close()
    return seq, sort, digest


def main(work):
    """Everything side by side, once a step; a fresh interpreter now and then."""
    context, fresh = (multiprocessing.get_context(name) for name in ("fork", "spawn"))
    workers = Workers(context)
    results = fresh.SimpleQueue()
    for step in work.numbers():
        programs = pipeline(step)
        makes = fresh if step % 8 == 0 else context
        lived = [makes.Process(target=short_lived, args=(step, number, results))
                 for number in range(2)]
        for process in lived:
            process.start()
        workers.ask(step)
        said = list(workers.hear(step))
        ends = sorted(results.get() for _ in lived)
        for process in lived:
            process.join(60)
            must(process.exitcode == step % 5, "a child ended with %s" % process.exitcode)
        output = programs[-1].communicate()[0]
        must([program.wait() for program in programs] == [0, 0, 0], "a pipeline failed")
        work.done(step, output, ends, *said)
    workers.end()


if __name__ == "__main__":
    journal.run(main)
