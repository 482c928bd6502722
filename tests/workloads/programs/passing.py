#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One that has what cannot be restored, or known, for a moment each time, again and again

usage: passing.py [stay]      Appends a line to `turns` with each turn; with "stay" it keeps one.
"""
import ctypes
import mmap
import os
import socket
import sys
import time

sys.dont_write_bytecode = True
GENERIC = 16  # a protocol of netlink


def look_up():
    """As a look-up of names does: netlink, then UDP."""
    for family, kind in ((socket.AF_NETLINK, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_DGRAM)):
        with socket.socket(family, kind):
            time.sleep(0.02)


def connect():
    """Nobody accepts it at once."""
    for family, name in ((socket.AF_UNIX, "socket"), (socket.AF_INET, ("127.0.0.1", 0))):
        with socket.socket(family) as listens, socket.socket(family) as connects:
            listens.bind(name)
            listens.listen()
            connects.connect(listens.getsockname())
            time.sleep(0.01)
            listens.accept()[0].close()
    os.unlink("socket")


def list_descriptors():
    """As whoever closes all that is open, or looks where its stack is."""
    with os.scandir("/proc/self/fd") as entries, open("/proc/self/maps", "rb") as maps:
        next(entries)
        maps.readline()
        time.sleep(0.02)


def for_ms(length):
    """However slow the machine is: with more of it a checkpoint would not wait it out."""
    end = time.monotonic() + length / 1000
    while time.monotonic() < end:
        yield


def change_numbers():
    """One number that is another thing each time that one looks."""
    ends = socket.socketpair()
    with open("/dev/null", "rb") as null, open("turns", "rb") as file:
        number = os.dup(ends[0].fileno())
        for _ in for_ms(50):
            for other in (file.fileno(), ends[0].fileno(), null.fileno()):
                os.dup2(other, number)
        os.close(number)
    for end in ends:
        end.close()


def flags_at(address):
    """Of the area that begins there."""
    with open("/proc/self/smaps", encoding="ascii") as smaps:
        found = False
        for line in smaps:
            found = found or line.startswith(f"{address:x}-")
            if found and line.startswith("VmFlags:"):
                return line.split()[1:]
    return None


def advise(memory, address):
    """Flags of memory that mostly are others after a stop than before; here they are looked at."""
    for _ in for_ms(100):
        for advice, has in ((mmap.MADV_DONTFORK, True), (mmap.MADV_DOFORK, False)):
            memory.madvise(advice)
            time.sleep(0.001)
            if ("dc" in flags_at(address)) != has:
                sys.exit("flags of memory are not what they were")


def main():
    """Half of the time there is something."""
    with open("turns", "a", encoding="ascii") as turns:
        memory = mmap.mmap(-1, mmap.PAGESIZE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        kept = [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, GENERIC)] if sys.argv[1:] else []
        while True:
            began = time.monotonic()
            print(len(kept), file=turns, flush=True)
            look_up()
            connect()
            list_descriptors()
            change_numbers()
            advise(memory, address)
            time.sleep(time.monotonic() - began)


main()
