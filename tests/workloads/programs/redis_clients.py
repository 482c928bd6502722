#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Redis server, and clients that know what it must answer

usage: redis_clients.py STEPS MODEL      (see journal.py)

Each client sends a pipeline of commands in each step and compares each answer with a model of its
own: what was lost, or done twice, shows in the next counter.  One client waits for a list, one has
subscribed to a channel, one works by transactions and scripts, and a redis-cli waits while all that
goes on.  The server writes its log, and by turns a snapshot and a new log from a child.  In the end
all keys are compared, and what a new server reads from the log.
"""
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import journal
import server
from journal import SLOW, must

CLIENTS, ORDERS = 4, 40
SCRIPT = (b"local n = redis.call('incrby', KEYS[1], ARGV[1]) "
          b"redis.call('rpush', KEYS[2], n) return {n, redis.call('llen', KEYS[2])}")


class Client:
    """A connection, and what it knows of the protocol."""

    def __init__(self, where):
        family = socket.AF_INET if isinstance(where, tuple) else socket.AF_UNIX
        self.socket = server.connected(family, where)
        self.file = self.socket.makefile("rb")

    def send(self, *orders):
        """Orders, all of them at once."""
        out = []
        for order in orders:
            out.append(b"*%d\r\n" % len(order))
            for word in order:
                word = word if isinstance(word, bytes) else str(word).encode()
                out.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(out))

    def answer(self):
        """One answer."""
        line = self.file.readline()
        must(line.endswith(b"\r\n"), "a connection has ended")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.answer() for _ in range(int(rest))]
        return int(rest) if kind == b":" else line[:-2]

    def ask(self, *order):
        """An order, and its answer."""
        self.send(order)
        return self.answer()


class Worker(threading.Thread):
    """A client with keys of its own, and what they must be."""

    def __init__(self, number, where):
        super().__init__(daemon=True)
        self.number, self.client = number, Client(where)
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.words, self.counter, self.list, self.scores = {}, 0, [], {}
        self.step, self.wrong = 0, None
        self.start()

    def key(self, name):
        """The names of this client alone."""
        return b"%d:%s" % (self.number, name)

    def orders(self):
        """Of this step: what is sent, and what must come."""
        for order in range(ORDERS):
            seed = b"%d %d %d" % (self.number, self.step, order)
            word = hashlib.sha256(seed).hexdigest().encode()
            name, text = word[:2], word * (order % 5 + 1)
            old, self.words[name] = self.words.get(name), text
            self.counter += order + 1
            self.list.append(text)
            new, self.scores[name] = name not in self.scores, order + self.step
            yield (b"GETSET", self.key(b"word:" + name), text), old
            yield (b"INCRBY", self.key(b"counter"), order + 1), self.counter
            yield (b"RPUSH", self.key(b"list"), text), len(self.list)
            if len(self.list) > 64:
                yield (b"LPOP", self.key(b"list")), self.list.pop(0)
            yield (b"ZADD", self.key(b"scores"), order + self.step, name), int(new)
            yield (b"HSET", self.key(b"hash"), b"%d-%d" % (self.step, order), text), 1
            yield ((b"XADD", self.key(b"log"), b"%d-%d" % (self.step, order + 1), b"text", text),
                   b"%d-%d" % (self.step, order + 1))

    def run(self):
        while True:
            self.go.acquire()
            self.step += 1
            sent = list(self.orders())
            self.client.send(*(order for order, _ in sent))
            for order, wanted in sent:
                got = self.client.answer()
                if got != wanted and not self.wrong:
                    self.wrong = "%r was answered with %r, not %r" % (order, got, wanted)
            self.done.release()

    def model(self):
        """What there must be in the end."""
        yield b"counter", (b"GET",), b"%d" % self.counter
        yield b"list", (b"LRANGE", 0, -1), self.list
        yield b"hash", (b"HLEN",), self.step * ORDERS
        yield b"log", (b"XLEN",), self.step * ORDERS
        yield b"scores", (b"ZCARD",), len(self.scores)
        for name, text in self.words.items():
            yield b"word:" + name, (b"GET",), text


class Others:
    """Who waits for a list, who has subscribed, who works by scripts and transactions."""

    def __init__(self, port, path):
        self.port = port
        self.waits, self.writes = Client(path), Client(path)
        self.hears = Client(("127.0.0.1", port))
        must(self.hears.ask("SUBSCRIBE", "news") == [b"subscribe", b"news", 1], "no subscription")
        self.sum = 0

    def begin(self, step):
        """What waits for the end of the step."""
        self.waits.send(("BLPOP", "jobs:%d" % step, "never", 0))
        return subprocess.Popen(["redis-cli", "-p", str(self.port), "BLPOP", "late:%d" % step, "0"],
                                stdout=subprocess.PIPE)

    def end(self, step, cli):
        """All that was waited for comes, once."""
        writes = self.writes
        for order in (("RPUSH", "late:%d" % step, step), ("RPUSH", "jobs:%d" % step, step)):
            must(writes.ask(*order) == 1, "a list was not empty")
        must(self.waits.answer() == [b"jobs:%d" % step, b"%d" % step], "another job came")
        output = cli.communicate(timeout=server.LIMIT)[0]
        must((cli.returncode, output) == (0, b"late:%d\n%d\n" % (step, step)), "%r" % output)
        for number in range(3):
            must(writes.ask("PUBLISH", "news", "%d %d" % (step, number)) == 1, "nobody hears")
        for number in range(3):
            must(self.hears.answer() == [b"message", b"news", b"%d %d" % (step, number)], "news")
        self.sum += step
        must(writes.ask("EVAL", SCRIPT, 2, "sum", "sums", step) == [self.sum, step], "a script")
        writes.send(("WATCH", "both"), ("MULTI",), ("INCR", "both"), ("INCR", "each"), ("EXEC",))
        must([writes.answer() for _ in range(5)] ==
             [b"+OK", b"+OK", b"+QUEUED", b"+QUEUED", [step, step]], "a transaction")


def start(port, *more):
    """The server, which is the same program as what looks at its snapshots."""
    if not os.path.exists("redis-server"):
        os.symlink("/usr/bin/redis-check-rdb", "redis-server")
    return server.start("server.log", "./redis-server", "--port", str(port), "--bind", "127.0.0.1",
                        "--unixsocket", "socket", "--appendonly", "yes", "--save", "",
                        "--enable-debug-command", "yes", "--io-threads", "2",
                        "--rdb-key-save-delay", "100", *more)


def ready(client):
    """It has read what it had."""
    server.until(lambda: client.ask("PING") == b"+PONG", "the server does not begin")
    return client


def check(workers, asks, steps):
    """Every key there is, by the model of who wrote it."""
    count = 4  # of the scripts and transactions
    for worker in workers:
        for name, order, wanted in worker.model():
            got = asks.ask(order[0], worker.key(name), *order[1:])
            must(got == wanted, "%r is %r, not %r" % (worker.key(name), got, wanted))
            count += 1
    must(asks.ask("DBSIZE") == count, "there are other keys")
    must(asks.ask("LLEN", "sums") == steps, "a script is missing")
    return asks.ask("DEBUG", "DIGEST")


def main(work):
    """Steps, then what is left."""
    port = server.free_port()
    process = start(port)
    asks = ready(Client(("127.0.0.1", port)))
    path = os.path.abspath("socket")
    workers = [Worker(number, path if number % 2 else ("127.0.0.1", port))
               for number in range(CLIENTS)]
    others = Others(port, path)
    for step in work.numbers():
        cli = others.begin(step)
        for worker in workers:
            worker.go.release()
        if step % 2:
            asks.ask("BGSAVE" if step % 4 == 1 else "BGREWRITEAOF")
        time.sleep(0.1 * SLOW)
        for worker in workers:
            must(worker.done.acquire(timeout=server.LIMIT), "a client has no answer")
            must(not worker.wrong, worker.wrong)
        others.end(step, cli)
        work.done(step, asks.ask("DEBUG", "DIGEST"), asks.ask("DBSIZE"))
    digest = check(workers, asks, work.steps)
    server.until(lambda: b"aof_rewrite_in_progress:0" in asks.ask("INFO", "persistence"),
                 "it writes a new log without an end")
    asks.send(("SHUTDOWN", "NOSAVE"))
    server.ends(process)
    process = start(port)
    asks = ready(Client(path))
    must(check(workers, asks, work.steps) == digest, "the log holds something else")
    asks.send(("SHUTDOWN", "SAVE"))
    server.ends(process)
    server.ends(server.start("checked", "redis-check-rdb", "dump.rdb"))
    work.steps += 1
    work.done(work.steps, digest)


journal.run(main)
