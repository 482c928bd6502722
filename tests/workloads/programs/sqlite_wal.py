#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A database in WAL mode that threads, processes and the shell of SQLite use at the same time

usage: sqlite_wal.py STEPS MODEL      (see journal.py)
"""
import hashlib
import multiprocessing
import queue
import sqlite3
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
import journal
from journal import SLOW, must

THREADS, PROCESSES = 3, 2
WRITERS = THREADS + PROCESSES


def connect():
    """A connection that waits for the others."""
    database = sqlite3.connect("database", timeout=60, isolation_level=None)
    database.execute("PRAGMA synchronous = NORMAL")
    return database


def write(database, step, writer):
    """A transaction: a row that continues the writer's own rows, and a sum of all."""
    database.execute("BEGIN IMMEDIATE")
    before = database.execute("SELECT hash FROM rows WHERE step = ? AND writer = ?",
                              (step - 1, writer)).fetchone()
    text = "%s %d %d" % (before[0] if before else "", step, writer)
    digest = hashlib.sha256(text.encode()).hexdigest()
    database.execute("INSERT INTO rows VALUES (?, ?, ?, ?)", (step, writer, digest, text * 20))
    database.execute("UPDATE total SET n = n + ?", (writer + 1,))
    if step > 40:
        database.execute("UPDATE rows SET text = '' WHERE step = ? AND writer = ?",
                         (step - 40, writer))
    database.execute("COMMIT")


def process(writer, pipe):
    """A writer in a process of its own."""
    database = connect()
    for step in iter(pipe.recv, None):
        write(database, step, writer)
        pipe.send(step)


def thread(writer, jobs, done):
    """A writer in a thread."""
    database = connect()
    while True:
        step = jobs.get()
        write(database, step, writer)
        done.put(step)


class Reader(threading.Thread):
    """Sees the same all through a step, whatever is written meanwhile."""

    def __init__(self):
        super().__init__(daemon=True)
        self.begins, self.begun = queue.Queue(), queue.Queue()
        self.ends, self.ended = queue.Queue(), queue.Queue()
        self.start()

    def run(self):
        database = connect()
        while True:
            self.begins.get()
            database.execute("BEGIN")
            first = database.execute("SELECT count(*), (SELECT n FROM total) FROM rows").fetchone()
            self.begun.put(first)
            self.ends.get()
            last = database.execute("SELECT count(*), (SELECT n FROM total) FROM rows").fetchone()
            database.execute("COMMIT")
            self.ended.put(last == first)


class Writers:
    """All of them."""

    def __init__(self):
        self.pipes, self.jobs, self.done = [], [], queue.Queue()
        for number in range(PROCESSES):
            ours, theirs = multiprocessing.Pipe()
            multiprocessing.Process(target=process, args=(THREADS + number, theirs),
                                    daemon=True).start()
            self.pipes.append(ours)
        for number in range(THREADS):
            self.jobs.append(queue.Queue())
            threading.Thread(target=thread, args=(number, self.jobs[-1], self.done),
                             daemon=True).start()

    def step(self, step):
        """One transaction of each."""
        for pipe in self.pipes:
            pipe.send(step)
        for jobs in self.jobs:
            jobs.put(step)
        for pipe in self.pipes:
            must(pipe.recv() == step, "a process answered to another step")
        for _ in self.jobs:
            must(self.done.get() == step, "a thread answered to another step")


def main(work):
    """A transaction of each, beside a reader and a program that looks."""
    database = sqlite3.connect("database", isolation_level=None)
    must(database.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal", "no WAL")
    database.executescript("CREATE TABLE rows (step, writer, hash, text, PRIMARY KEY "
                           "(step, writer)) WITHOUT ROWID; CREATE TABLE total (n);"
                           "INSERT INTO total VALUES (0)")
    database.close()
    writers, reader = Writers(), Reader()
    database = connect()
    each = sum(range(1, WRITERS + 1))
    for step in work.numbers():
        reader.begins.put(step)
        must(reader.begun.get() == ((step - 1) * WRITERS, (step - 1) * each), "a row is lost")
        looks = subprocess.Popen(["sqlite3", "-cmd", ".timeout 60000", "database",
                                  ".system sleep %g" % (0.05 * SLOW),
                                  "SELECT count(*), group_concat(hash) FROM (SELECT hash FROM rows "
                                  "WHERE step = %d ORDER BY writer)" % (step - 1)],
                                 stdout=subprocess.PIPE)
        writers.step(step)
        seen = looks.communicate()[0]
        must(looks.returncode == 0, "sqlite3 ended with %d" % looks.returncode)
        reader.ends.put(step)
        must(reader.ended.get(), "a transaction saw what others wrote meanwhile")
        if step % 7 == 0:
            database.execute("PRAGMA wal_checkpoint(%s)" % ("TRUNCATE", "PASSIVE")[step // 7 % 2])
        rows = database.execute("SELECT writer, hash FROM rows WHERE step = ? ORDER BY writer",
                                (step,)).fetchall()
        must(len(rows) == WRITERS, "a row of this step is lost")
        work.done(step, seen, rows)
    must(database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "it is damaged")
    work.done(work.step + 1, *database.execute("SELECT * FROM rows ORDER BY step, writer"))
    work.steps += 1


journal.run(main)
