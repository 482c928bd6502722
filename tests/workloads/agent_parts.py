# SPDX-License-Identifier: GPL-2.0-or-later
"""The coding agent's smaller parts, one per kernel object that it holds on to."""
import hashlib
import os
import queue
import signal
import subprocess
import tempfile
import threading

from agent_memory import Broken


class Journal:
    """One line per iteration in a file that stays open."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "a")
        self.written = hashlib.sha256()

    def line(self, text):
        """Append a line."""
        self.file.write(text + "\n")
        self.file.flush()
        self.written.update(text.encode() + b"\n")

    def verify(self):
        """What is on disk must be what was written."""
        with open(self.path, "rb") as file:
            if hashlib.sha256(file.read()).digest() != self.written.digest():
                raise Broken("the journal does not hold the lines that were written")


class Workers:
    """Threads that hash what they are given; results come back in order."""

    def __init__(self, count):
        self.jobs = [queue.Queue() for _ in range(count)]
        self.results = [queue.Queue() for _ in range(count)]
        for number in range(count):
            threading.Thread(target=self.work, args=(number,), daemon=True).start()

    def work(self, number):
        """The life of a thread: a hash over everything it was ever given."""
        seen = hashlib.blake2b()
        while True:
            seen.update(self.jobs[number].get())
            self.results[number].put(seen.digest())

    def digests(self, contents):
        """Hash all contents, spread over the threads."""
        for number, content in enumerate(contents):
            self.jobs[number % len(self.jobs)].put(content)
        return [self.results[number % len(self.jobs)].get() for number in range(len(contents))]


class Shell:
    """A shell that lives as long as the agent, in a session of its own."""

    def __init__(self):
        self.total = 0
        self.child = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, start_new_session=True)

    def turn(self, number):
        """Let the shell add up; its variable must be what it was."""
        self.total += number
        self.child.stdin.write(b"total=$((total + %d)); cd notes; echo $total $(ls | wc -l); "
                               b"cd ..\n" % number)
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if answer.split()[:1] != [b"%d" % self.total]:
            raise Broken("the shell answered %r, not %d" % (answer, self.total))
        return answer

    def close(self):
        """End of input ends the shell."""
        self.child.stdin.close()
        if self.child.wait() != 0:
            raise Broken("the shell ended with %d" % self.child.returncode)


class HeldPipe:
    """A pipe to oneself that is never empty: what goes in comes out ten turns later."""

    def __init__(self, rng):
        self.random = rng
        self.read, self.write = os.pipe()
        self.held = []
        for _ in range(10):
            self.put()

    def put(self):
        self.held.append(self.random.randbytes(300))
        os.write(self.write, self.held[-1])

    def turn(self, number):
        """Take the oldest message, put a new one."""
        got = os.read(self.read, 300)
        if got != self.held.pop(0):
            raise Broken("the pipe lost a message before iteration %d" % number)
        self.put()
        return got


class UnlinkedFile:
    """A temporary file without a name: it grows, and old parts are read and rewritten."""

    def __init__(self, rng):
        self.random = rng
        self.fd, path = tempfile.mkstemp(prefix="agent-")
        os.unlink(path)
        self.size = 0

    def turn(self, number):
        """Append at the file position, read back and change an older part."""
        self.size += os.write(self.fd, self.random.randbytes(3000))
        if os.lseek(self.fd, 0, os.SEEK_CUR) != self.size:
            raise Broken("the unlinked file's position moved before iteration %d" % number)
        at = self.random.randrange(self.size)
        got = os.pread(self.fd, 2000, at)
        os.pwrite(self.fd, b"%d" % number, self.random.randrange(self.size - 8))
        return got

    def digest(self):
        """SHA-256 of the whole file."""
        return hashlib.sha256(os.pread(self.fd, self.size + 1, 0)).digest()


class Signals:
    """A handler that counts, and a blocked signal that stays pending over iterations."""

    def __init__(self):
        self.caught = 0
        signal.signal(signal.SIGUSR1, self.catch)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        self.pend()

    def catch(self, _number, _frame):
        self.caught += 1

    def pend(self):
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)

    def turn(self, number):
        """The pending signal must still be there; catch another one."""
        if signal.SIGUSR2 not in signal.sigpending():
            raise Broken("the pending signal was lost before iteration %d" % number)
        if number % 3 == 0:
            signal.sigwait([signal.SIGUSR2])
            self.pend()
        signal.raise_signal(signal.SIGUSR1)
        if self.caught != number:
            raise Broken("%d signals caught in %d iterations" % (self.caught, number))
        return b"%d" % self.caught


class LateChild:
    """Now and then a child that ends at once and is waited for two iterations later."""

    def __init__(self):
        self.child = None
        self.due = 0

    def turn(self, number):
        """Start one, or wait for the one that is a zombie by now."""
        if self.child is None:
            self.child = subprocess.Popen(["/usr/bin/test", "0", "=", str(number % 2)])
            self.due = number + 2
            self.status = number % 2
        elif number >= self.due:
            status = self.child.wait()
            self.child = None
            if status != self.status:
                raise Broken("a child's exit status was %d, not %d" % (status, self.status))
        return b"%d" % self.due
