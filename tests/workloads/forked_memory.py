#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that one has forked, which share what none of them has written since

usage: forked_memory.py MEGABYTES
Prints "ready", then for each line on its input "step N" with a hash of the memory of each of
three processes, after each of them has written every 64th page of its own, another one each
step. At the line "fork" one more is forked. Ends with "all well" at the line "end".
"""
import hashlib
import os
import sys

PAGE = 4096


def fill(size):
    seed = hashlib.sha256(b"forked").digest()
    memory = bytearray(size)
    for at in range(0, size, PAGE):
        memory[at:at + PAGE] = hashlib.shake_128(seed + at.to_bytes(8, "little")).digest(PAGE)
    return memory


def write(memory, step, number):
    for at in range((7 * step + number) % 64 * PAGE, len(memory), 64 * PAGE):
        memory[at:at + 8] = (step << 8 | number).to_bytes(8, "little")
    return hashlib.sha256(memory).hexdigest()


def child(memory, number, asked, answers):
    while True:
        step = int.from_bytes(os.read(asked, 8), "little")
        if not step:
            os._exit(0)
        os.write(answers, write(memory, step, number).encode())


def start(memory, number, children):
    asked, answers = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        child(memory, number, asked[0], answers[1])
    children.append((pid, asked[1], answers[0]))


def main():
    memory, children, step = fill(int(sys.argv[1]) << 20), [], 0
    start(memory, 1, children)
    start(memory, 2, children)
    print("all is set up\nready", flush=True)
    for line in iter(sys.stdin.readline, "end\n"):
        if line == "fork\n":
            start(memory, len(children) + 1, children)
            print("forked", flush=True)
            continue
        step += 1
        hashes = [write(memory, step, 0)]
        for _, asks, answers in children:
            os.write(asks, step.to_bytes(8, "little"))
            hashes.append(os.read(answers, 64).decode())
        print("step", step, *hashes, flush=True)
    for pid, asks, _ in children:
        os.write(asks, bytes(8))
        assert os.waitpid(pid, 0)[1] == 0
    print("all well", flush=True)


main()
