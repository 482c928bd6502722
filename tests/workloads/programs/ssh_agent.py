#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An ssh-agent that alone has the keys, and who asks it to sign

usage: ssh_agent.py STEPS MODEL      (see journal.py)

One connection stays for all steps; ssh-add and ssh-keygen make new ones to the same socket.  The
agent is locked through some of the steps, and keys with a time to live come and go.
"""
import os
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import journal
import server
from journal import SLOW, must

FAILURE, SUCCESS = 5, 6
ASK_KEYS, KEYS, ASK_SIGN, SIGNED, LOCK, UNLOCK = 11, 12, 13, 14, 22, 23
WORD = b"a word"


def text(data):
    """A string of the protocol."""
    return struct.pack(">I", len(data)) + data


class Agent:
    """A connection to it."""

    def __init__(self):
        self.socket = server.connected(socket.AF_UNIX, "agent")

    def take(self, length):
        """So many bytes."""
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            must(more, "the agent has closed a connection")
            data += more
        return data

    def send(self, kind, data=b""):
        """A request."""
        self.socket.sendall(text(bytes([kind]) + data))

    def answer(self):
        """What comes: its kind, and the rest."""
        data = self.take(struct.unpack(">I", self.take(4))[0])
        return data[0], data[1:]

    def ask(self, kind, data=b""):
        """Both."""
        self.send(kind, data)
        return self.answer()

    def keys(self):
        """The public ones: all that it holds, with their comments."""
        kind, data = self.ask(ASK_KEYS)
        must(kind == KEYS, "no keys, but %d" % kind)
        words, at = [], 4
        while at < len(data):
            end = at + 4 + struct.unpack_from(">I", data, at)[0]
            words.append(data[at + 4:end])
            at = end
        must(len(words) == 2 * struct.unpack_from(">I", data)[0], "a key is cut")
        return dict(zip(words[1::2], words[::2]))


def run(*command, **options):
    """A program of OpenSSH that ends well."""
    done = subprocess.run(command, stdin=options.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    must(done.returncode == 0, "%s: %s" % (command, done.stdout.decode(errors="replace")))
    return done.stdout


def make_keys():
    """Two that are in no file any more."""
    for kind in ("ed25519", "rsa"):
        run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", kind, "-f", kind)
        run("ssh-add", "-q", kind)
        os.unlink(kind)
        with open(kind + ".pub", encoding="ascii") as public, open("signers", "a",
                                                                   encoding="ascii") as signers:
            signers.write("%s %s\n" % (kind, public.read().strip()))
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "passing", "-f", "passing")


def sign(step, kind, message):
    """By a program that takes its time, which the agent then has a connection for."""
    with open("message", "wb") as file:
        file.write(message)
    run("sh", "-c", "sleep %g; ssh-keygen -Y sign -n step%d -f %s.pub message" %
        (0.1 * SLOW, step, kind))
    with open("message", "rb") as file:
        run("ssh-keygen", "-Y", "verify", "-f", "signers", "-I", kind, "-n", "step%d" % step, "-s",
            "message.sig", stdin=file)
    os.unlink("message.sig")


def main(work):
    """Both keys sign in each step."""
    process = server.start("agent.log", "ssh-agent", "-D", "-a", "agent")
    os.environ["SSH_AUTH_SOCK"] = os.path.abspath("agent")
    agent = Agent()
    make_keys()
    keys = agent.keys()
    must(sorted(keys) == [b"ed25519", b"rsa"], "%s" % keys)
    always = agent.ask(ASK_SIGN, text(keys[b"ed25519"]) + text(b"always") + struct.pack(">I", 0))
    for step in work.numbers():
        if step % 3 == 0:
            must(agent.ask(LOCK, text(WORD)) == (SUCCESS, b""), "it is not locked")
            time.sleep(0.02 * SLOW)
            must(agent.keys() == {}, "it tells its keys while it is locked")
            must(agent.ask(UNLOCK, text(b"another"))[0] == FAILURE, "it takes another word")
            must(agent.ask(UNLOCK, text(WORD)) == (SUCCESS, b""), "it is not unlocked")
        if step % 4 == 0:
            run("ssh-add", "-q", "-t", "3600", "passing")
            must(len(agent.keys()) == 3, "no third key")
        # three requests under way, while others come
        message = b"step %d" % step
        for data in (message, b"always", message):
            agent.send(ASK_SIGN, text(keys[b"ed25519"]) + text(data) + struct.pack(">I", 0))
        sign(step, ("ed25519", "rsa")[step % 2], message)
        first, same, again = agent.answer(), agent.answer(), agent.answer()
        must(same == always, "another signature of the same")
        must(first == again and first != same and first[0] == SIGNED, "another signature")
        if step % 4 == 0:
            run("ssh-add", "-q", "-d", "passing")
        must(agent.keys() == keys, "the keys are others")
        work.done(step, sorted(keys), run("ssh-add", "-l").count(b"\n"))
    process.terminate()
    server.ends(process, 2)


journal.run(main)
