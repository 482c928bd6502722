#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A model for coding agents that answers by the conversation alone: chat completions on loopback.

Asked for step after step, it makes the agent run one shell command each, and ends when all are
done.  How many are done it reads from the conversation, so a request that is made once more gets
the same answer, and it needs no memory of its own.

A step appends its number to `steps` in the working directory, takes a while, does a little of what
agents do (files, git, a child that computes), and says what it has seen.
"""
import argparse
import http.server
import json
import os
import sys
import time

TOOL = "run_shell_command"
WORK = [
    "printf 'int f%(n)d(void){return %(n)d;}\\n' >f%(n)d.c && cc -c -o f%(n)d.o f%(n)d.c",
    "seq %(n)d | sha256sum | cut -c 1-8 >sum%(n)d",
    "git add -A && git -c user.name=a -c user.email=a@localhost commit -qm 'step %(n)d'",
    "(sleep 0.2; echo %(n)d) | tee last",
]


def command(number):
    """The shell command of a step."""
    return "echo %d >>steps; sleep 0.4; %s; tail -n 1 steps" % (number, WORK[number % len(WORK)] %
                                                     {"n": number})


def steps_done(messages):
    """How many answers of tools the conversation holds."""
    return sum(1 for message in messages if message.get("role") == "tool")


def answer(request, steps):
    """The message that follows the conversation, and why it ends."""
    done = steps_done(request["messages"])
    names = [tool["function"]["name"] for tool in request.get("tools", [])]
    if TOOL not in names or done >= steps:
        return {"role": "assistant", "content": "All %d steps are done." % done}, "stop"
    arguments = {"command": command(done + 1), "description": "step %d" % (done + 1),
                 "is_background": False}
    call = {"index": 0, "id": "call_%d" % (done + 1), "type": "function",
            "function": {"name": TOOL, "arguments": json.dumps(arguments)}}
    return {"role": "assistant", "content": "Step %d." % (done + 1),
            "tool_calls": [call]}, "tool_calls"


def envelope(kind, choice):
    """What surrounds a choice."""
    return {"id": "chatcmpl-0", "object": kind, "created": 0, "model": "mock",
            "choices": [dict(choice, index=0)],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection, kept open between requests."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # pylint: disable=invalid-name
        """Chat completions, in one piece or as events."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        message, reason = answer(request, self.server.steps)
        time.sleep(self.server.think_s)
        while self.server.hold and os.path.exists(self.server.hold):
            time.sleep(0.02)
        if request.get("stream"):
            chunk = "chat.completion.chunk"
            self.begin("text/event-stream")
            self.event(envelope(chunk, {"delta": message, "finish_reason": None}))
            self.event(envelope(chunk, {"delta": {}, "finish_reason": reason}))
            self.chunk(b"data: [DONE]\n\n")
            self.chunk(b"")
        else:
            self.begin("application/json")
            self.chunk(json.dumps(envelope("chat.completion", {
                "message": message, "finish_reason": reason})).encode())
            self.chunk(b"")

    def begin(self, kind):
        """Status and headers."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, value):
        """A server-sent event."""
        self.chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def chunk(self, data):
        """A piece of the body; an empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """A line for each request, with --verbose."""
        if self.server.verbose:
            sys.stderr.write("model: " + format % args + "\n")


class Server(http.server.ThreadingHTTPServer):
    """A thread for each connection."""
    daemon_threads = True


def main():
    """Serve until killed; the port is written to a file once it is open."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--think-ms", type=int, default=0)
    parser.add_argument("--hold", metavar="FILE", help="answer nothing while it is there")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Handler)
    server.steps = options.steps
    server.think_s = options.think_ms / 1000
    server.hold = options.hold
    server.verbose = options.verbose
    if options.port_file:
        with open(options.port_file, "w", encoding="ascii") as file:
            file.write("%d\n" % server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
