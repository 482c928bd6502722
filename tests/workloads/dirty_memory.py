#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process with much memory that writes a share of its pages when it is told to.

usage: dirty_memory.py FOLDER MIB SEED
Orders are lines that appear in the file `orders` of FOLDER; each is answered with a line in
`done`: "write SHARE" (percent of the pages, drawn by the seed) with the number of the order, "hash"
with the SHA-256 of all memory.  A quarter of each page is random, the rest text.
"""
import hashlib
import mmap
import os
import random
import sys
import time

PAGE = 4096
RANDOM = PAGE // 4


def obey(order, memory, rng):
    """Carry an order out; what there is to say of it."""
    verb, *words = order.split()
    if verb == "hash":
        return hashlib.sha256(memory).hexdigest()
    pages = len(memory) // PAGE
    for page in rng.sample(range(pages), pages * int(words[0]) // 100):
        memory[page * PAGE:page * PAGE + RANDOM] = rng.randbytes(RANDOM)
    return "written"


def main():
    """Fill the memory, then wait for orders; nothing is open meanwhile."""
    folder, mib, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(len(memory) // PAGE):
        text = b"page %08d of a heap that holds what programs hold; " % page
        memory[page * PAGE:(page + 1) * PAGE] = rng.randbytes(RANDOM) + \
            (text * PAGE)[:PAGE - RANDOM]
    obeyed, answer = 0, "filled"
    while True:
        with open(os.path.join(folder, "done"), "a", encoding="ascii") as file:
            file.write("%d %s\n" % (obeyed, answer))
        orders = []
        while len(orders) <= obeyed:
            time.sleep(0.01)
            with open(os.path.join(folder, "orders"), encoding="ascii") as file:
                orders = file.read().split("\n")[:-1]
        answer = obey(orders[obeyed], memory, rng)
        obeyed += 1


if __name__ == "__main__":
    main()
