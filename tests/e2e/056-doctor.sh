#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 056-doctor.sh: all that is in the way of a checkpoint is told at once, and nothing is disturbed
# where: both
# check: native
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"

outside_port() {	# of a server outside all groups, which accepts and says nothing
	/usr/bin/python3 -c '
import signal, socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], file=open(sys.argv[1], "w"), flush=True)
held = server.accept()
signal.pause()' "$base/port" >/dev/null 2>&1 &
	echo $! >"$base/server"
	wait_for 60 test -s "$base/port"
	cat "$base/port"
}
at_exit 'kill -9 $(cat "$base/server") 2>/dev/null'

# One that can be captured, but for what leads out of it
group=healthy
start_program $group "$base/$group/said" /usr/bin/python3 -c '
import sys, time
said = open(sys.argv[1], "a", buffering=1)
while True:
    print("on", file=said)
    time.sleep(0.1)' "$base/$group/said"
fds() { ls -l /proc/"$1"/fd | sed 's/.*[0-9] //'; }
pid=$(group_pids $group)
before=$(fds "$pid"; cat "/proc/$pid/maps")
ends "doctor of a healthy group" 0 '' "$tool" doctor $group
like "it can be captured" "$(cat "$base/out")" 'healthy can be captured: 1 tasks, 1 threads;'
ends "and as a document" 0 '' "$tool" doctor $group --json
document "it says so" 'd["name"], d["healthy"], d["refused"], d["tasks"], d["freeze_ns"] > 0' \
	"('healthy', True, [], 1, True)"
is "its descriptors and areas are as before" "$(fds "$pid"; cat "/proc/$pid/maps")" "$before"
ok "nothing traces or freezes it" untraced $group
count=$(lines "$base/$group/said")
ok "it runs on" wait_for 60 has_lines "$base/$group/said" $((count + 2))
take $group
[ -z "${CKPT_IN_VM:-}" ] || is "its tracker is kmod" "$(json tracker "$said")" kmod

# One that holds several things, before and behind each other, in two processes
group=ill
start_program $group "$base/$group/said" /usr/bin/python3 -c '
import os, socket, sys, time
said = open(sys.argv[1], "a", buffering=1)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
status = os.open("/proc/1/status", os.O_RDONLY)
packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
if not os.fork():
    spare = os.open("/proc/1/io", os.O_RDONLY)
while True:
    print("on", os.getpid(), file=said)
    time.sleep(0.1)' "$base/$group/said"
ok "both run" wait_for 60 eval '[ "$(cut -d " " -f 2 "$base/ill/said" | sort -u | wc -l)" = 2 ]'
rc=0
said=$("$tool" checkpoint $group 2>&1) || rc=$?
is "a checkpoint is refused" $rc 4
is "for one thing" "$(wc -l <<<"$said")" 1
rc=0
said=$("$tool" doctor $group) || rc=$?
is "doctor ends with the status of a refusal" $rc 4
# seven: three and their copies, and one of the child alone
is "and tells of each" "$(grep -c '^refused: ' <<<"$said")" 7
for what in 'a socket descriptor' '/status' '/io'; do
	like "$what is among them" "$said" "refused: pid [0-9]+ \(python3\) [^
]*$what"
done
like "the last line sums up" "$said" 'ill cannot be captured: 7 objects stand in the way$'
ok "nothing traces or freezes it" untraced $group
count=$(lines "$base/$group/said")
ok "it runs on" wait_for 60 has_lines "$base/$group/said" $((count + 4))

# Two of a kind at once, of each kind of which it takes all tables to know: none hides another
group=twice
start_program $group "$base/$group/said" /usr/bin/python3 -c '
import ctypes, os, select, signal, socket, struct, sys, time
said = open(sys.argv[1], "a", buffering=1)
libc = ctypes.CDLL(None)
kept = []
def keep(*what):
    kept.extend(what)
    return what[0]
def told_with_credentials():
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    a.send(b"who am I")
    keep(a, b)
def connected_with_itself():
    s = keep(socket.socket())
    s.bind(("127.0.0.1", 0))
    s.connect(s.getsockname())
def fired(epoll):
    r, w = os.pipe()
    epoll.register(r, select.EPOLLIN | select.EPOLLONESHOT)
    os.write(w, b"x")
    epoll.poll(0)
    os.read(r, 1)
def filtered():
    insns = (0x20, 0, 0, 0), (0x15, 0, 1, 9), (6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in insns))
    prog = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(code)))
    if not os.fork():
        libc.prctl(38, 1, 0, 0, 0)
        assert not libc.prctl(22, 2, prog)
        while True:
            signal.pause()
def dispatched():
    selector = ctypes.create_string_buffer(1)
    if not os.fork():
        assert not libc.prctl(59, 1, 0, 0, ctypes.c_void_p(ctypes.addressof(selector)))
        while True:
            signal.pause()
def of_cpu_time():
    timer = ctypes.c_void_p()
    assert not ctypes.CDLL("librt.so.1").timer_create(2, None, ctypes.byref(timer))
for i in range(2):
    filtered()
    dispatched()
for i in range(2):
    of_cpu_time()
one = keep(select.epoll())
for i in range(2):
    told_with_credentials()
    connected_with_itself()
    fired(one)
    fired(keep(select.epoll()))
    os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
while True:
    print("on", file=said)
    time.sleep(0.1)' "$base/$group/said"
rc=0
said=$("$tool" doctor $group) || rc=$?
is "doctor of one with two of each" $rc 4
two() {	# two WHAT: it is told of two
	is "two: $1" "$(grep -cE "^refused: .*$1" <<<"$said")" 2
}
two 'Unix socket on descriptor [0-9]+ with unread messages that are told with credentials'
two 'TCP socket [0-9]+ connected with itself'
two 'by epoll 4, once, which has happened'
two 'whose slave was never opened'
# before Linux 6.4 nobody can see it
dispatched=2
[ "$(printf '%s\n' 6.4 "$(uname -r)" | sort -V | head -n 1)" = 6.4 ] || dispatched=0
is "user dispatch, where it shows" "$(grep -c 'uses syscall user dispatch' <<<"$said")" \
	$dispatched
two 'has a POSIX timer .* of CPU time'
two 'by which system call 9, which ckpt-tool makes there'
is "an epoll does not hide others" "$(grep -c 'once, which has happened' <<<"$said")" 4
is "and nothing follows from what is refused" "$(grep -c '^refused: ' <<<"$said")" \
	$((14 + dispatched))
count=$(lines "$base/$group/said")
ok "it runs on" wait_for 60 has_lines "$base/$group/said" $((count + 4))

# What comes back as something else
group=lossy
start_program $group "$base/$group/said" /usr/bin/python3 -c '
import ctypes, mmap, os, socket, sys, time
said = open(sys.argv[1], "a", buffering=1)
beside = open(sys.argv[2], "w")
server = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
def mapped(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4096)
    assert libc.mmap(None, 4096, 3, mmap.MAP_SHARED, fd, 0) != 2 ** 64 - 1
    os.close(fd)
mapped(sys.argv[4])
mapped(sys.argv[1] + ".inside")
wiped = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
wiped.madvise(18)
if libc.mmap(None, 4096, 3, 0x28, -1, 0) != 2 ** 64 - 1:
    print("dropped", file=said)
while True:
    print("on", file=said)
    time.sleep(0.1)' "$base/$group/said" "$base/beside" "$(outside_port)" \
	"$base/mapped"
ends "doctor of one that loses something" 0 '' "$tool" doctor $group
like "its connection" "$(cat "$base/out")" \
	'lost: pid [0-9]+ \(python3\): descriptor [0-9]+ is connected to .* outside'
like "its file outside the roots" "$(cat "$base/out")" 'lost: .* writes a file that is in no root'
like "a file outside the roots that it maps and has closed" "$(cat "$base/out")" \
	'lost: pid [0-9]+ \(python3\): memory at 0x[0-9a-f]+ writes a file that is in no root'
like "memory that is wiped in children" "$(cat "$base/out")" 'MADV_WIPEONFORK.* without its content'
droppable=$(grep -c dropped "$base/$group/said" || true)
is "memory that may be dropped" "$(grep -c MAP_DROPPABLE "$base/out")" "$droppable"
is "nothing else" "$(grep -c ^lost: "$base/out")" $((4 + droppable))

# One that cannot even be stopped is told of what shows from outside
group=traced
start_program $group "$base/$group/said" /usr/bin/python3 -c '
import socket, sys, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
said = open(sys.argv[1], "a", buffering=1)
while True:
    print("on", file=said)
    time.sleep(0.1)' "$base/$group/said"
pid=$(group_pids $group)
/usr/bin/python3 -c '
import ctypes, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
assert not libc.ptrace(0x4206, int(sys.argv[1]), 0, 0), ctypes.get_errno()
print("traced", flush=True)
signal.pause()' "$pid" >"$base/tracer" &
at_exit "kill -9 $! 2>/dev/null"
ok "a debugger traces it" wait_for 60 grep -q traced "$base/tracer"
rc=0
said=$("$tool" doctor $group) || rc=$?
is "doctor of one that is traced" $rc 4
like "names the debugger" "$said" 'is traced by pid'
like "and the socket" "$said" 'a socket descriptor'

# Requests
ends "no group" 2 'one group, or one --pid, is' "$tool" doctor
ends "a root without a pid" 2 '--root goes with --pid' "$tool" doctor x --root /
ends "an unknown group" 2 "there is no group 'nobody'" "$tool" doctor nobody
ends "a pid that is none" 2 'is no pid' "$tool" doctor --pid x
ends "the tree of a pid" 4 '' "$tool" doctor --pid "$pid"
like "it is told of as well" "$(cat "$base/out")" 'the tree cannot be captured: . objects'
done_testing
