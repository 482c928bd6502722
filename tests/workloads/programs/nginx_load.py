#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""nginx with workers, and clients that compare every byte that it serves

usage: nginx_load.py NGINX STEPS MODEL      (see journal.py)

Clients keep their connections, some ask for much in one go, one reads slowly what is sent slowly,
some go through a proxy to another server of the same nginx by a path, one stores files.  Now and
then it reads its configuration anew, with new workers, while old ones have requests.  In the end
its log must have a line for each answer that was heard, and no other.
"""
import hashlib
import os
import socket
import sys
import threading

sys.dont_write_bytecode = True
NGINX = sys.argv.pop(1)
import journal
import server
from journal import SLOW, must

CLIENTS, REQUESTS, FILES = 6, 12, 10
CONFIGURATION = """
daemon off;
user root;
worker_processes 2;
error_log error.log;
pid pid;
events { worker_connections 128; }
http {
    log_format line '$request_method $uri $status $body_bytes_sent $http_x_number';
    access_log access.log line;
    client_body_temp_path temp_body;
    proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi;
    scgi_temp_path temp_scgi;
    sendfile on;
    keepalive_requests 1000000;
    upstream behind { server unix:behind; keepalive 4; }
    server {
        listen 127.0.0.1:%(port)d;
        root files;
        location /slow/ { alias files/; sendfile_max_chunk 8k; limit_rate %(rate)d; }
        location /stored/ { alias stored/; dav_methods PUT DELETE; }
        location /far/ {
            proxy_pass http://behind/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
    server {
        listen unix:behind;
        access_log off;
        root files;
    }
}
"""


def content(number):
    """Of a file: 1 KiB to half a MiB."""
    return hashlib.sha256(b"file %d" % number).digest() * (32 << number)


class Client(threading.Thread):
    """A connection that stays, and requests that nobody else makes."""

    def __init__(self, number, port):
        super().__init__(daemon=True)
        self.number, self.port = number, port
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.step, self.count, self.wrong, self.log = 0, 0, None, []
        self.connect()
        self.start()

    def connect(self):
        """Anew, as after a worker has gone."""
        self.socket = server.connected(socket.AF_INET, ("127.0.0.1", self.port))
        self.file = self.socket.makefile("rb")

    def send(self, method, path, body=b"", more=""):
        """A request; its number goes to the log."""
        self.count += 1
        self.socket.sendall(b"%s %s HTTP/1.1\r\nHost: here\r\nX-Number: %d-%d\r\n%s"
                            b"Content-Length: %d\r\n\r\n%s" %
                            (method.encode(), path.encode(), self.number, self.count,
                             more.encode(), len(body), body))
        return method, path, self.count

    def answer(self, sent, status, wanted):
        """It has this status and these bytes."""
        line = self.file.readline()
        length, closes = 0, False
        for header in iter(self.file.readline, b"\r\n"):
            must(header, "a connection has ended in the midst of an answer")
            name, value = header.lower().split(b":", 1)
            length = int(value) if name == b"content-length" else length
            closes = closes or (name == b"connection" and b"close" in value)
        body = self.file.read(length)
        must(line.split()[1] == b"%d" % status, "%s: %r" % (sent, line))
        must(wanted is None or body == wanted, "%s: other bytes" % (sent,))
        self.log.append("%s %s %d %d %d-%d" % (*sent[:2], status, length, self.number, sent[2]))
        if closes:
            self.socket.close()
            self.connect()

    def get(self, where, number):
        """One file."""
        self.answer(self.send("GET", "/%s%d" % (where, number)), 200, content(number))

    def store(self):
        """One that is read again, by another location, and deleted."""
        body, path = content(self.step % FILES), "/stored/%d-%d" % (self.number, self.step)
        self.answer(self.send("PUT", path, body), 201, None)
        self.answer(self.send("GET", path), 200, body)
        self.answer(self.send("DELETE", path), 204, None)

    def part(self, number):
        """Some bytes of a file, and none of one that is not there."""
        data = content(number)
        sent = self.send("GET", "/%d" % number, more="Range: bytes=100-299\r\n")
        self.answer(sent, 206, data[100:300])
        self.answer(self.send("GET", "/none"), 404, None)

    def requests(self):
        """Of one step."""
        if self.number == 0:
            self.get("slow/", 6)
            return
        for request in range(REQUESTS):
            number = (request + self.step + self.number) % FILES
            self.get("far/" if self.number % 2 else "", number)
            if request == self.number:
                self.store()
            if request % 5 == 0:
                self.part(number)

    def run(self):
        while True:
            self.go.acquire()
            self.step += 1
            try:
                self.requests()
            except (journal.Broken, OSError) as broken:
                self.wrong = self.wrong or "client %d: %r" % (self.number, broken)
            self.done.release()


def children(pid):
    """Of a process."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return set(file.read().split())


def read_anew(process):
    """New workers come; the old ones go when nobody needs them."""
    old = children(process.pid)
    process.send_signal(1)
    server.until(lambda: len(children(process.pid) - old) == 2, "no new workers")


def logged():
    """What it has written down."""
    with open("access.log", encoding="ascii") as file:
        return sorted(file.read().splitlines())


def main(work):
    """Some requests of each client in a step."""
    port = server.free_port()
    for name in ("files", "stored"):
        os.mkdir(name)
    for number in range(FILES):
        with open("files/%d" % number, "wb") as file:
            file.write(content(number))
    with open("nginx.conf", "w", encoding="ascii") as file:
        # a slow answer takes a part of a second, and longer where all does
        file.write(CONFIGURATION % {"port": port, "rate": len(content(6)) * 4 // SLOW})
    process = server.start("nginx.log", NGINX, "-p", os.getcwd(), "-c", "nginx.conf")
    clients = [Client(number, port) for number in range(CLIENTS)]
    for step in work.numbers():
        for client in clients:
            client.go.release()
        for client in reversed(clients):
            # the slow one is last, and in the midst of its answer
            if client.number == 0 and step % 6 == 0:
                read_anew(process)
            must(client.done.acquire(timeout=server.LIMIT), "a client has no answer")
            must(not client.wrong, client.wrong)
        if step % 6 == 0:
            # old workers answer, and close
            for client in clients:
                client.connect()
        work.done(step, *(client.count for client in clients))
    # it would wait a minute for the first request of each
    for client in clients:
        client.socket.shutdown(socket.SHUT_RDWR)
    process.send_signal(3)
    server.ends(process)
    wanted = sorted(line for client in clients for line in client.log)
    must(logged() == wanted, "its log has other requests than were answered")
    with open("error.log", encoding="ascii") as file:
        wrong = [line for line in file if '"' not in line or "/none" not in line]
    must(not wrong, "%s" % wrong)
    must(not os.listdir("stored"), "a file was stored and not deleted")
    work.steps += 1
    work.done(work.steps, *wanted)


journal.run(main)
