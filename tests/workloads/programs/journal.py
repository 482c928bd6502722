# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs in Python of this folder have in common: their steps and their journal.

A program is called with the number of its steps and a directory, and works where it was started.
Before step N it waits until the file N is in that directory, as an agent waits for its model; with
"-" it does not wait.  After each step it appends a line to `journal`: the number and a hash over
all that was seen so far.  What it can know to be wrong ends it, "broken" in the journal.

CKPT_SLOW is how many times as long its children sleep, so that a stop finds them.
"""
import hashlib
import os
import sys
import time
import traceback


SLOW = int(os.environ.get("CKPT_SLOW", "1"))


class Broken(Exception):
    """Something is not as it must be."""


def must(is_so, what):
    """What the program knows by itself."""
    if not is_so:
        raise Broken(what)


class Journal:
    """The running hash, and the file that every step has a line in."""

    def __init__(self):
        self.steps = int(sys.argv[1])
        self.model = sys.argv[2]
        self.running = hashlib.sha256(b"journal")
        self.file = os.open("journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.step = 0

    def may_go(self, step):
        """The model has answered."""
        return self.model == "-" or os.path.exists("%s/%d" % (self.model, step))

    def numbers(self):
        """All steps, each when it may be done."""
        for step in range(1, self.steps + 1):
            while not self.may_go(step):
                time.sleep(0.01)
            yield step

    def line(self, text):
        """Append a line, by one call."""
        data = text.encode() + b"\n"
        must(os.write(self.file, data) == len(data), "the journal took a part of a line")

    def done(self, step, *seen):
        """A step is done, and this has been seen in it."""
        must(step == self.step + 1, "step %d after step %d" % (step, self.step))
        self.step = step
        for part in seen:
            part = part if isinstance(part, bytes) else repr(part).encode()
            self.running.update(b"%d:" % len(part) + part)
        self.line("%06d %s" % (step, self.running.hexdigest()))

    def end(self):
        """All is done: each step has its line, in order."""
        with open("journal", encoding="ascii") as file:
            lines = [int(line.split()[0]) for line in file]
        must(lines == list(range(1, self.steps + 1)), "the journal lacks steps")
        self.line("final %s" % self.running.hexdigest())


def run(program):
    """program(journal), to its end."""
    journal = Journal()
    try:
        program(journal)
        journal.end()
    except Exception as broken:  # pylint: disable=broad-except
        traceback.print_exc()
        journal.line("broken %s" % broken)
        sys.stderr.flush()
        os._exit(3)  # whoever is waited for at an ordinary end may not come
