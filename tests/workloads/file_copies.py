#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are written anew as a whole, over and over, beside copies of what they held.

usage: file_copies.py FOLDER SEED
"""

import os
import random
import sys

PAGES = 70
FILES = 4
COPIES = 50


def write_whole(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(fd, data, 0)
    os.close(fd)


folder = sys.argv[1]
content = random.Random(int(sys.argv[2]))
turn = 0
while True:
    for file in range(FILES):
        data = content.randbytes(4096 * PAGES)
        write_whole(f"{folder}/file{file}", data)
        write_whole(f"{folder}/copy{file}_{turn % COPIES}", data)
    turn += 1
    if turn <= 2:
        print("turn", turn, flush=True)
