#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An interactive bash on a terminal: jobs in the background, stopped ones, pipelines, traps

usage: shell_jobs.py STEPS MODEL      (see journal.py)
"""
import os
import pty
import select
import sys
import time

sys.dont_write_bytecode = True
import journal
from journal import SLOW, must

PROMPT = "ready> "
SHELL = ["/bin/bash", "--norc", "--noprofile", "-i"]
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "dumb", "PS1": PROMPT}


class Terminal:
    """What is typed, and what comes back."""

    def __init__(self):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(SHELL[0], SHELL, ENVIRONMENT)
        self.screen = ""
        self.shows(PROMPT)

    def type(self, text):
        """Keys."""
        os.write(self.master, text.encode())

    def shows(self, text):
        """Until that is there; what came before it is forgotten."""
        while text not in self.screen:
            must(select.select([self.master], [], [], 60)[0],
                 "no %r in %r" % (text, self.screen))
            self.screen += os.read(self.master, 4096).decode()
        before, _, self.screen = self.screen.partition(text)
        return before

    def command(self, text):
        """A line that the shell runs to its end."""
        self.type(text + "\n")
        self.shows("\n")
        return self.shows(PROMPT)


def read(name):
    """What a file holds."""
    with open(name, encoding="ascii") as file:
        return file.read()


def written(name, text):
    """Until a file holds that; what is typed while bash changes the terminal has no echo."""
    for _ in range(6000):
        if os.path.exists(name) and read(name) == text:
            return
        time.sleep(0.01)
    raise journal.Broken("%s holds %r" % (name, read(name)))


def stopped_and_back(terminal, step):
    """A job in the foreground is stopped, goes on behind, and comes to the front again."""
    terminal.type("cat >catted\n")
    terminal.shows("catted\r\n")
    terminal.type("one %d\n" % step)
    written("catted", "one %d\n" % step)
    terminal.type("\x1a")
    terminal.shows("Stopped")
    terminal.shows(PROMPT)
    must("Stopped" in terminal.command("jobs"), "no job is stopped")
    terminal.type("fg\n")
    terminal.shows("cat > catted\r\n")
    terminal.type("two %d\n" % step)
    written("catted", "one %d\ntwo %d\n" % (step, step))
    terminal.type("\x04")
    terminal.shows(PROMPT)


def interrupted(terminal, step):
    """^C ends what is in the foreground, and nothing else."""
    terminal.type("sh -c 'echo $0 >up; exec sleep 1000' $step\n")
    written("up", "%d\n" % step)
    terminal.type("\x03")
    terminal.shows(PROMPT)
    terminal.command("echo \"interrupted: $?\" >>waited")


def main(work):
    """The same commands in every step."""
    terminal = Terminal()
    terminal.command("mkfifo kept; bash -c 'read -r line <>kept; exit 6' &")
    terminal.command("a_while=%g" % (0.08 * SLOW))
    terminal.command("trap 'echo trapped $step >>trapped' USR1")
    terminal.command("wait_all() { for job; do wait \"$job\"; echo \"$step: $?\" >>waited; done; }")
    for step in work.numbers():
        terminal.command("step=%d; rm -f waited trapped catted" % step)
        terminal.command("(sleep $a_while; echo \"a $step\" >a; exit $((step % 9))) & a=$!")
        terminal.command("{ seq $step | sort -r; sleep $a_while; } | sha256sum >b & b=$!")
        stopped_and_back(terminal, step)
        terminal.command("(sleep 0.03; exit 4) & c=$!; (kill -USR1 $$)")
        interrupted(terminal, step)
        terminal.command("for i in 1 2 3; do echo $((i * step)); done | tac | tee d | tr 1 2 >e")
        terminal.command("wait_all $a $b $c")
        must("<>kept" in terminal.command("jobs"), "the oldest job is lost")
        # the terminal shows when jobs happen to end; what they did is in the files
        work.done(step, *map(read, ("a", "b", "catted", "d", "e", "waited", "trapped")))
    terminal.command("echo >kept; step=0; wait_all %1")
    must(read("waited").endswith("0: 6\n"), "the oldest job ended badly")
    terminal.type("exit 5\n")
    must(os.waitpid(terminal.pid, 0)[1] == 5 << 8, "the shell ended badly")


journal.run(main)
