#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tasks of asyncio: streams, queues, timers, children, signals, threads behind it

usage: python_asyncio.py STEPS MODEL      (see journal.py)
"""
import asyncio
import hashlib
import os
import signal
import socket
import sys

sys.dont_write_bytecode = True
import journal
from journal import SLOW, must

TASKS = 8


class Service:
    """A server on loopback and one at a path; their clients keep their connections."""

    def __init__(self):
        self.heard = hashlib.sha256()
        self.clients = []

    async def serve(self, reader, writer):
        """A line in, a hash over all of that connection back."""
        seen = hashlib.sha256()
        async for line in reader:
            seen.update(line)
            await asyncio.sleep(0.003)
            writer.write(seen.hexdigest().encode() + b"\n")
            await writer.drain()

    async def start(self):
        """Both, with clients."""
        tcp = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = tcp.sockets[0].getsockname()[1]
        await asyncio.start_unix_server(self.serve, "service")
        for _ in range(2):
            self.clients.append(await asyncio.open_connection("127.0.0.1", port))
            self.clients.append(await asyncio.open_unix_connection("service"))

    async def ask(self, number, text):
        """One client's question."""
        reader, writer = self.clients[number]
        writer.write(text + b"\n")
        await writer.drain()
        return await asyncio.wait_for(reader.readline(), 60)


async def consumer(jobs, results, limit):
    """One of many tasks at a queue."""
    while True:
        step, number = await jobs.get()
        async with limit:
            await asyncio.sleep(0.002 * (number % 4))
            results[number] = hashlib.sha256(b"%d %d" % (step, number)).digest()
        jobs.task_done()


async def child(step, number):
    """A program with pipes."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "read line; sleep %g; echo $line | sha256sum; exit %d" %
        ((number + 3) * 0.01 * SLOW, step % 7),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate(b"%d %d\n" % (step, number))
    must(process.returncode == step % 7, "a child ended with %s" % process.returncode)
    return output


class Waker:
    """A pair of sockets, a signal, and a timer of the loop."""

    def __init__(self, loop):
        self.loop = loop
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.signals = 0
        self.turned = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR2, self.signal)

    def signal(self):
        """Each one counts."""
        self.signals += 1
        self.turned.set()

    async def step(self, step):
        """A signal after a while, then bytes there and back."""
        self.turned.clear()
        self.loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR2)
        await asyncio.wait_for(self.turned.wait(), 60)
        must(self.signals == step, "%d signals in step %d" % (self.signals, step))
        await self.loop.sock_sendall(self.theirs, step.to_bytes(8, "little"))
        return await self.loop.sock_recv(self.ours, 8)


async def steps(work):
    """Everything side by side, once a step."""
    loop = asyncio.get_running_loop()
    service, waker = Service(), Waker(loop)
    await service.start()
    jobs, limit, results = asyncio.Queue(), asyncio.Semaphore(3), [None] * TASKS
    tasks = [asyncio.create_task(consumer(jobs, results, limit)) for _ in range(TASKS)]
    for step in range(1, work.steps + 1):
        while not work.may_go(step):
            await asyncio.sleep(0.01)
        for number in range(TASKS):
            jobs.put_nowait((step, number))
        seen = await asyncio.gather(
            *(service.ask(number, b"%d" % step) for number in range(4)),
            *(child(step, number) for number in range(2)),
            loop.run_in_executor(None, lambda data: hashlib.sha256(data * 9999).digest(),
                                 b"%d" % step),
            waker.step(step))
        await asyncio.wait_for(jobs.join(), 60)
        work.done(step, *seen, *results)
    for task in tasks:
        task.cancel()


journal.run(lambda work: asyncio.run(steps(work)))
