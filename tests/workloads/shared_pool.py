#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Workers that share memory as Python programs do: multiprocessing, and an anonymous mmap

usage: shared_pool.py MEGABYTES
Prints "ready", then for each line on its input "step N" with a hash of the memory, after each
worker has written one page of it. Ends with "all well" at the line "end".
"""
import hashlib
import mmap
import multiprocessing
import sys

PAGE = 4096


def worker(number, memory, total, steps, turn, done):
    while True:
        turn.acquire()
        step = total.value
        if step < 0:
            return
        at = (step * 7919 + number * 104729) % (len(memory) // PAGE) * PAGE
        memory[at:at + 8] = (step << 8 | number).to_bytes(8, "little")
        with steps.get_lock():
            steps[number] = step
        done.release()


def main():
    context = multiprocessing.get_context("fork")
    memory = mmap.mmap(-1, int(sys.argv[1]) << 20)
    seed = hashlib.sha256(b"shared").digest()
    for at in range(0, len(memory), PAGE):
        memory[at:at + 32] = hashlib.sha256(seed + at.to_bytes(8, "little")).digest()
    total = context.Value("q", 0)
    steps = context.Array("q", 3)
    turns = [context.Semaphore(0) for _ in range(3)]
    done = context.Semaphore(0)
    workers = [context.Process(target=worker, args=(i, memory, total, steps, turns[i], done))
               for i in range(3)]
    for process in workers:
        process.start()
    print("all is set up\nready", flush=True)
    for _ in iter(sys.stdin.readline, "end\n"):
        total.value += 1
        for semaphore in turns:
            semaphore.release()
        for _ in workers:
            done.acquire()
        assert list(steps) == [total.value] * 3
        print("step", total.value, hashlib.sha256(memory).hexdigest(), flush=True)
    total.value = -1
    for semaphore in turns:
        semaphore.release()
    for process in workers:
        process.join()
        assert process.exitcode == 0
    print("all well", flush=True)


main()
