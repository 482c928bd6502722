# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs of this folder that start a server and talk to it have in common."""
import os
import random
import socket
import subprocess
import time

from journal import must

LIMIT = 120  # seconds for an answer; nobody who is stopped and restored takes so long


def free_port():
    """One that nobody has, and that the kernel gives to nobody who asks for any."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    for _ in range(100):
        port = random.randrange(10240, max(first, 12288))
        with socket.socket() as tries:
            tries.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tries.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    return must(False, "no free port")


def start(log, *command, **options):
    """A program whose output goes to a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file,
                                stderr=subprocess.STDOUT, **options)


def until(attempt, what):
    """What attempt() gives when it is something, and no error."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            got = attempt()
            if got:
                return got
        except OSError:
            pass
        must(time.monotonic() < end, what)
        time.sleep(0.01)


def connected(family, address):
    """A socket to somebody who may not listen yet."""
    def attempt():
        ours = socket.socket(family)
        try:
            ours.connect(address)
        except OSError:
            ours.close()
            raise
        ours.settimeout(LIMIT)
        return ours
    return until(attempt, "nobody listens at %s" % (address,))


def ends(process, code=0):
    """It ends by itself, and so."""
    got = process.wait(LIMIT)
    must(got == code, "%s ended with %d" % (os.path.basename(process.args[0]), got))
