#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads as Python programs have them: queues, locks, conditions, barriers, pools, timers

usage: python_threads.py STEPS MODEL      (see journal.py)
"""
import concurrent.futures
import hashlib
import os
import queue
import select
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
import journal
from journal import must

THREADS = 6
MEMORY = 1 << 20


class Team:
    """Threads with memory of their own that meet at a barrier in each step."""

    def __init__(self):
        self.jobs = [queue.Queue() for _ in range(THREADS)]
        self.results = queue.Queue()
        self.barrier = threading.Barrier(THREADS)
        self.lock = threading.RLock()
        self.shared = [b""] * THREADS
        self.total = 0
        self.local = threading.local()
        for number in range(THREADS):
            threading.Thread(target=self.work, args=(number,), daemon=True).start()

    def work(self, number):
        """The life of a thread."""
        self.local.memory = bytearray(hashlib.sha256(b"%d" % number).digest() * (MEMORY // 32))
        while True:
            step = self.jobs[number].get()
            self.results.put((number, self.turn(number, step)))

    def turn(self, number, step):
        """Change a page, tell the others, hear what they have to tell."""
        memory = self.local.memory
        at = (step * 7919 + number * 104729) % (MEMORY // 4096) * 4096
        memory[at:at + 32] = hashlib.sha256(memory).digest()
        self.shared[number] = bytes(memory[at:at + 32])
        time.sleep(0.002 * number)
        self.barrier.wait()
        heard = hashlib.sha256(b"".join(self.shared)).digest()
        for _ in range(100):
            with self.lock:
                self.total += number + 1
        self.barrier.wait()
        return heard

    def step(self, step):
        """All of them take one turn; what they say, in their order."""
        for jobs in self.jobs:
            jobs.put(step)
        said = dict(self.results.get() for _ in range(THREADS))
        must(self.total == step * 100 * sum(range(1, THREADS + 1)), "an addition is lost")
        return [said[number] for number in range(THREADS)]


class Relay:
    """A thread that waits in poll(2), and one that waits for a condition."""

    def __init__(self):
        self.into, self.out = os.pipe()[::-1]
        self.turned = threading.Condition()
        self.last = 0
        self.heard = 0
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=self.follow, daemon=True).start()

    def listen(self):
        """From the pipe to the condition."""
        poll = select.poll()
        poll.register(self.out, select.POLLIN)
        while True:
            must(poll.poll() == [(self.out, select.POLLIN)], "poll told of nothing")
            with self.turned:
                self.last = int.from_bytes(os.read(self.out, 8), "little")
                self.turned.notify_all()

    def follow(self):
        """From one condition to the other."""
        while True:
            with self.turned:
                self.turned.wait_for(lambda: self.last > self.heard)
                self.heard = self.last
                self.turned.notify_all()

    def step(self, step):
        """All the way round."""
        os.write(self.into, step.to_bytes(8, "little"))
        with self.turned:
            must(self.turned.wait_for(lambda: self.heard == step, 60), "the relay is lost")


def digest_of(data):
    """Without the interpreter's lock, since it is large."""
    return hashlib.sha256(data * 4000).digest()


def short_lived(step, number, into):
    """A thread that ends with its step."""
    time.sleep(0.01 + 0.005 * number)
    into[number] = hashlib.sha256(b"%d %d" % (step, number)).digest()


def main(work):
    """Everything side by side, once a step."""
    team, relay = Team(), Relay()
    signals = []
    signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for step in work.numbers():
            rung = threading.Event()
            timer = threading.Timer(0.02, rung.set)
            timer.start()
            lived = [None] * 3
            threads = [threading.Thread(target=short_lived, args=(step, number, lived))
                       for number in range(3)]
            for thread in threads:
                thread.start()
            sums = pool.map(digest_of, [b"%d %d" % (step, part) for part in range(4)])
            said = team.step(step)
            relay.step(step)
            signal.raise_signal(signal.SIGUSR1)
            for thread in threads:
                thread.join()
            must(rung.wait(60), "the timer is lost")
            must(len(signals) == step, "a signal is lost")
            work.done(step, *said, *sums, *lived)


journal.run(main)
