#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A small coding agent: edits C files, builds them, runs the tests, remembers everything.

What an agent on a workspace does, with all randomness drawn from one seed, so that two runs
with the same options leave the same journal, wherever and whenever they run.  Each iteration
ends with one line in the journal: its number and a running hash over everything it touched:
pages of state, files read back from disk, program output, the tail of the history.  What the
agent can know by itself it checks by itself (exit status 3, "broken" in the journal): every
page of state has a checksum, every program's output is predicted, the journal is read back.
"""
import argparse
import hashlib
import os
import random
import resource
import sys
import time

sys.dont_write_bytecode = True  # leave no trace beside the scripts
import agent_code
import agent_memory
import agent_parts

BROKEN = 3


class Agent:
    """The loop, its random numbers and its running hash."""

    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.running = hashlib.sha256(b"seed %d" % options.seed).digest()
        self.parts = []
        self.journal = agent_parts.Journal(options.journal)
        self.state = agent_memory.State(self.random, options.state_mb)
        self.scratch = agent_memory.Pages(self.random, 256)
        self.history = agent_memory.History(self.random)
        self.code = agent_code.Project(self.random, options.think_ms / 1000,
                                       options.optimize)
        self.copied = agent_memory.Pages(self.random, 64, "corpus.bin")
        self.shell = agent_parts.Shell()
        self.workers = agent_parts.Workers(2)
        self.pipe = agent_parts.HeldPipe(self.random)
        self.unlinked = agent_parts.UnlinkedFile(self.random)
        self.signals = agent_parts.Signals()
        self.late = agent_parts.LateChild()

    def iterate(self, number):
        """One iteration; its parts all go into the running hash, in this order."""
        seen = hashlib.sha256(self.running)
        edited = self.code.edit(number)
        output = self.code.build(number, edited)
        output += self.code.test(number)
        seen.update(output)
        for digest in self.workers.digests([self.code.read(name) for name in edited]):
            seen.update(digest)
        seen.update(self.state.touch())
        seen.update(self.scratch.touch(number))
        seen.update(self.copied.touch(number))
        seen.update(self.history.extend(number, edited, output))
        seen.update(self.pipe.turn(number))
        seen.update(self.unlinked.turn(number))
        seen.update(self.shell.turn(number))
        seen.update(self.signals.turn(number))
        seen.update(self.late.turn(number))
        if number % self.options.verify_every == 0:
            self.state.verify()
        self.running = seen.digest()
        self.journal.line("%06d %s" % (number, self.running.hex()))

    def wait_for_model(self, number):
        """What agents do most of the time."""
        while self.options.model and not os.path.exists("%s/%d" % (self.options.model, number)):
            time.sleep(0.02)

    def finish(self):
        """Look at everything once more; the final hash covers all of it."""
        self.state.verify()
        seen = hashlib.sha256(self.running)
        for part, digest in (("state", self.state.digest()),
                             ("history", self.history.digest()),
                             ("unlinked", self.unlinked.digest()),
                             ("tree", self.code.tree_digest())):
            seen.update(digest)
            print(part, digest.hex())
        self.journal.verify()
        final = seen.hexdigest()
        self.journal.line("final %s" % final)
        self.shell.close()
        return final


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", required=True, help="an empty or new directory")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state-mb", type=int, default=48, help="state kept in memory")
    parser.add_argument("--pause-ms", type=int, default=0, help="sleep after each iteration")
    parser.add_argument("--model", metavar="DIR",
                        help="before iteration N wait until the file DIR/N is there, as one "
                        "waits for a model's answer")
    parser.add_argument("--think-ms", type=int, default=0,
                        help="sleep before each of the four questions to a test program")
    parser.add_argument("--optimize", type=int, default=1, metavar="LEVEL",
                        help="what it compiles with: -O LEVEL")
    parser.add_argument("--verify-every", type=int, default=8,
                        help="check all the state after so many iterations")
    parser.add_argument("--journal", help="default: journal in the workspace")
    options = parser.parse_args()
    os.makedirs(options.workspace, exist_ok=True)
    options.journal = os.path.abspath(options.journal or
                                      os.path.join(options.workspace, "journal"))
    os.chdir(options.workspace)
    os.umask(0o027)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    agent = Agent(options)
    try:
        for number in range(1, options.iterations + 1):
            agent.wait_for_model(number)
            agent.iterate(number)
            if options.pause_ms:
                time.sleep(options.pause_ms / 1000)
        print("final", agent.finish(), flush=True)
    except agent_memory.Broken as broken:
        agent.journal.line("broken %s" % broken)
        print("broken", broken, file=sys.stderr, flush=True)
        return BROKEN
    return 0


if __name__ == "__main__":
    sys.exit(main())
