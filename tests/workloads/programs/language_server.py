#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An editor's language server, clangd, asked over pipes while a file is written

usage: language_server.py STEPS MODEL      (see journal.py)

Each step changes the file by one function more and asks many things at once, of which each must be
answered once; some of it is asked again from memory of many steps ago.
"""
import json
import os
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
import journal
import server
from journal import SLOW, must

FUNCTION = """\
/** Adds %(n)d to what f%(before)d() gives. */
static struct pair f%(n)d(int a%(n)d)
{
	struct pair p = f%(before)d(a%(n)d);

	p.first += %(n)d;
	return p;
}

"""
BEGIN = """\
struct pair {
	int first, second;
};

/** Nothing is added. */
static struct pair f0(int a0)
{
	return (struct pair){ a0, 0 };
}

"""


class Server:
    """The server, and who reads what it says."""

    def __init__(self):
        with open("clangd.log", "ab") as log:
            self.process = subprocess.Popen(
                ["clangd", "--background-index", "--log=error", "-j=3"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.root = "file://" + os.getcwd()
        self.asked, self.answers, self.number = set(), {}, 0
        self.told = threading.Condition()
        self.checked, self.wrong = {}, None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """Each message as it comes."""
        while True:
            length = None
            for line in iter(self.process.stdout.readline, b"\r\n"):
                if not line:
                    return
                name, value = line.split(b":")
                length = int(value) if name == b"Content-Length" else length
            message = json.loads(self.process.stdout.read(length))
            with self.told:
                self.take(message)
                self.told.notify_all()

    def take(self, message):
        """An answer, or what it says by itself."""
        if message.get("method") == "textDocument/publishDiagnostics":
            self.checked[message["params"].get("version")] = message["params"]["diagnostics"]
        elif "method" not in message:
            number = message["id"]
            if number not in self.asked or "result" not in message:
                self.wrong = message
            else:
                self.asked.remove(number)
                self.answers[number] = message["result"]

    def say(self, method, **params):
        """What has no answer."""
        self.send({"method": method, "params": params})

    def send(self, message):
        """A message."""
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self.process.stdin.flush()

    def ask(self, method, **params):
        """Its number, for answer()."""
        with self.told:
            self.number += 1
            self.asked.add(self.number)
            number = self.number
        self.send({"id": number, "method": method, "params": params})
        return number

    def wait(self, what, is_there):
        """Until that is so."""
        with self.told:
            self.told.wait_for(lambda: self.wrong or is_there(), server.LIMIT)
            must(not self.wrong, "%s: nobody asked, or no answer: %s" % (what, self.wrong))
            must(is_there(), "%s: no answer" % what)

    def answer(self, number):
        """It came once, and the same wherever the workspace is."""
        self.wait("request %d" % number, lambda: number in self.answers)
        with self.told:
            return json.dumps(self.answers.pop(number), sort_keys=True).replace(self.root, "")


class File:
    """A file that grows; where each function is in it."""

    def __init__(self, peer):
        self.peer, self.lines, self.uri = peer, [2, 5], peer.root + "/file.c"
        self.text = BEGIN
        peer.say("textDocument/didOpen", textDocument={"uri": self.uri, "languageId": "c",
                                                      "version": 0, "text": self.text})

    def grow(self, step):
        """One more, which only the server is told of."""
        at = self.text.count("\n")
        self.lines[1:] = self.lines[1:] + [at + 1]
        more = FUNCTION % {"n": step, "before": step - 1}
        self.text += more
        self.peer.say("textDocument/didChange", textDocument={"uri": self.uri, "version": step},
                      contentChanges=[{"range": {"start": {"line": at, "character": 0},
                                                 "end": {"line": at, "character": 0}},
                                       "text": more}])

    def at(self, step, what):
        """The place of a name in what belongs to a step."""
        line = self.lines[step + 1]
        for down in range(5):
            column = self.text.split("\n")[line + down].find(what)
            if column >= 0:
                return {"textDocument": {"uri": self.uri},
                        "position": {"line": line + down, "character": column}}
        return must(False, "no %s" % what)

    def questions(self, step, old):
        """Of the newest function, and of an old one."""
        ask = self.peer.ask
        for which in (step, old):
            yield ask("textDocument/hover", **self.at(which, "f%d(" % which))
            yield ask("textDocument/hover", **self.at(which, "a%d" % which))
            yield ask("textDocument/definition", **self.at(which, "f%d(a" % (which - 1)))
            yield ask("textDocument/references", context={"includeDeclaration": True},
                      **self.at(which, "f%d(" % which))
            yield ask("textDocument/completion", **self.at(which, "first +="))
        yield ask("textDocument/documentSymbol", textDocument={"uri": self.uri})
        yield ask("textDocument/semanticTokens/full", textDocument={"uri": self.uri})


def main(work):
    """The same questions again and again, of more and more."""
    peer = Server()
    number = peer.ask("initialize", processId=os.getpid(), rootUri=peer.root, capabilities={})
    must("hoverProvider" in peer.answer(number), "it cannot do what it must")
    peer.say("initialized")
    file = File(peer)
    for step in work.numbers():
        file.grow(step)
        asked = list(file.questions(step, step * 7 % step + 1 if step > 1 else 1))
        # what an editor runs beside it
        beside = subprocess.Popen(["sh", "-c", "sleep %g; sha256sum" % (0.3 * SLOW)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        seen = [beside.communicate(file.text.encode())[0]]
        must(beside.returncode == 0, "what runs beside it failed")
        seen.extend(peer.answer(one) for one in asked)
        must("Adds %d to what" % step in seen[1], "it hovers over %s" % seen[1])
        peer.wait("what it found", lambda: step in peer.checked)
        # unused: the newest one alone
        must(["'f%d'" % step in one["message"] or "f%d" % step in one["message"]
              for one in peer.checked[step]] in ([], [True]), "%s" % peer.checked[step])
        work.done(step, *seen)
    must(not peer.answers and not peer.asked, "%s %s" % (peer.answers, peer.asked))
    must(peer.answer(peer.ask("shutdown")) == "null", "it does not shut down")
    peer.say("exit")
    server.ends(peer.process)


journal.run(main)
