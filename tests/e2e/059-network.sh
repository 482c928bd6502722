#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 059-network.sh: trees in network and cgroup namespaces of their own come back in such, with all
# connections
# where: both
# check: native
# timeout: 300
#
# The programs of the tests of sockets run in a network with nothing but lo, over killed keepers and
# two restores.  A server and its client in a sandbox take steps; what else a network may hold is
# refused, all at once, and nothing is disturbed.  A tree that is given by a pid takes its network
# along, into another pid namespace as well, and ports and names that somebody here has are free
# there.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"
. "$CKPT_REPO/tests/e2e/lib/pids.sh"

ours=$(readlink /proc/self/ns/net)
settings() { cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/core/somaxconn; }
before=$(settings; cat /sys/class/net/lo/mtu)

# In a VM, where each takes a minute, one will do
held=(tcp_sockets unix_sockets)
[ -z "${CKPT_IN_VM:-}" ] || held=(tcp_sockets)
for program in "${held[@]}"; do
	mkdir -p "$base/own-$program"
	hold_and_restore own-$program own_network "$programs/$program"
done

# A port and a name that we have here as well
taken=$base/taken
/usr/bin/python3 -c '
import signal, socket, sys
tcp = socket.create_server(("127.0.0.1", 0))
name = socket.socket(socket.AF_UNIX)
name.bind("\0ckpt-059-" + str(tcp.getsockname()[1]))
name.listen()
open(sys.argv[1], "w").write("%d\n" % tcp.getsockname()[1])
signal.pause()' "$taken" &
at_exit "kill -9 $! 2>/dev/null"
disown
wait_for 60 grep -q . "$taken" || bail "nobody listens"
port=$(cat "$taken")

talker='
import os, socket, sys, threading
port, name = int(sys.argv[1]), "\0ckpt-059-" + sys.argv[1]
said = open("said", "a", buffering=1)
def serve(listener):
    while True:
        end = listener.accept()[0]
        threading.Thread(target=answer, args=(end,), daemon=True).start()
def answer(end):
    count = 0
    while end.recv(1):
        count += 1
        end.sendall(b"%d\n" % count)
listener = socket.create_server(("10.9.8.7", port))
local = socket.socket(socket.AF_UNIX)
local.bind(name)
local.listen()
for each in listener, local:
    threading.Thread(target=serve, args=(each,), daemon=True).start()
tcp = socket.create_connection(("10.9.8.7", port))
unix = socket.socket(socket.AF_UNIX)
unix.connect(name)
print("begun\nport", tcp.getsockname()[1], file=said)
ends = [tcp.makefile("r"), unix.makefile("r")]
for line in sys.stdin:
    if line == "end\n":
        break
    tcp.sendall(b"x"), unix.sendall(b"x")
    more = socket.create_connection(("10.9.8.7", port))
    more.sendall(b"x")
    with open("/proc/sys/net/ipv4/ip_local_port_range") as ports:
        print("step", *[end.readline().strip() for end in ends], more.recv(2).decode().strip(),
              20000 <= more.getsockname()[1] <= 20999, *ports.read().split(),
              open("/proc/self/cgroup").read().split(":")[-1].strip(), file=said)
    more.close()
print("all well", file=said)'

# The shell stays above the program
shell='
cd "$1"
/usr/bin/python3 -c "
import fcntl, socket, struct
def tell(order, name, value):
    fcntl.ioctl(s, order, struct.pack(\"16s24s\", name, value))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tell(0x8914, b\"lo\", struct.pack(\"H\", 0x41))
tell(0x8916, b\"lo:1\", struct.pack(\"HH4s\", socket.AF_INET, 0, socket.inet_aton(\"10.9.8.7\")))
tell(0x8922, b\"lo\", struct.pack(\"i\", 16000))"
echo "20000 20999" >/proc/sys/net/ipv4/ip_local_port_range
echo 99 >/proc/sys/net/core/somaxconn
/usr/bin/python3 -c "$2" "$3" <>lines
echo over >>said'

ready() {	# NAME: its directory
	mkdir -p "$base/$1"
	mkfifo "$base/$1/lines"
}

step() {	# NAME N: one more, in which all is as it was
	echo >"$base/$1/lines"
	ok "$1: step $2" wait_for 60 grep -q "^step $2 " "$base/$1/said"
	is "$1: in step $2 all is as it was" "$(grep "^step $2 " "$base/$1/said")" \
		"step $2 $2 1 True 20000 20999 /"
}

inside() {	# PID COMMAND...: in the network of that process
	nsenter -t "$1" -n "${@:2}"
}

first_pid() { group_pids "$1" | sort -n | head -n 1; }

ends_well() {	# NAME
	echo end >"$base/$1/lines"
	ok "$1: it ends" wait_for 60 grep -qx over "$base/$1/said"
	is "$1: and well" "$(tail -n 2 "$base/$1/said")" "all well
over"
	ok "$1: nobody is left" wait_for 20 group_gone "$1"
}

is_back() {	# NAME
	pid=$(first_pid "$1")
	is "$1: its settings" "$(inside "$pid" cat /proc/sys/net/ipv4/ip_local_port_range \
		/proc/sys/net/core/somaxconn)" "20000	20999
99"
	# who listens, and both ends of what is not over
	is "$1: its sockets" "$(inside "$pid" cat /proc/net/tcp |
		grep -cE "0708090A:$(printf %04X "$port").* (01|0A) ")" 3
	for each in net cgroup; do
		isnt "$1: its $each namespace is not ours" "$(readlink "/proc/$pid/ns/$each")" \
			"$(readlink /proc/self/ns/$each)"
	done
	is "$1: we are where we were" "$(readlink /proc/self/ns/net)" "$ours"
	is "$1: the settings here" "$(settings; cat /sys/class/net/lo/mtu)" "$before"
}

# In a sandbox
group=boxed-net
ready $group
start_program $group "$base/$group/said" unshare -n -C sh -c "$shell" sh "$base/$group" \
	"$talker" "$port"
step $group 1
ends "doctor of it" 0 '' "$tool" doctor $group
lose_keepers $group
take_soon $group
step $group 2
take $group
second=$id
step $group 3

# What a network may not hold
pid=$(first_pid $group)
inside "$pid" ip route add 10.20.0.0/16 dev lo
inside "$pid" ip rule add pref 77 table 7
inside "$pid" ip neigh add proxy 10.9.9.9 dev lo
ends "doctor of one with more in it" 4 '' "$tool" doctor $group
for what in 'route 10.20.0.0' 'rule 77' 'proxied neighbour 10.9.9.9'; do
	like "$what is refused" "$(cat "$base/out")" \
		"refused: .* has a network namespace of its own with $what in it, which"
done
is "and nothing else" "$(grep -c ^refused: "$base/out")" 3
ends "a checkpoint of it" 4 'with proxied neighbour 10.9.9.9 in it' "$tool" checkpoint $group
inside "$pid" ip neigh del proxy 10.9.9.9 dev lo
inside "$pid" ip rule del pref 77
inside "$pid" ip route del 10.20.0.0/16

# What others have in it: multicast routing, and IPVS where the kernel has it
routing='
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
s.setsockopt(0, 200, 1)
s.setsockopt(0, 202, struct.pack("=HBBI4s4s", 0, 0, 1, 0, socket.inet_aton("127.0.0.1"), bytes(4)))
open(sys.argv[1], "w").write("routes")
time.sleep(600)'
nsenter -t "$pid" -n /usr/bin/python3 -c "$routing" "$base/routes" &
router=$!
at_exit "kill -9 $router 2>/dev/null"
disown
wait_for 60 grep -qs routes "$base/routes" || bail "nobody routes"
others=('interface of multicast routing +0 lo .*')
if [ -n "${CKPT_IN_VM:-}" ]; then
	ok "this kernel has IPVS" modprobe ip_vs
	inside "$pid" /usr/bin/python3 -c '
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
s.setsockopt(0, 1154, struct.pack("=H2x4sH2xI16sIII", socket.IPPROTO_TCP,
    socket.inet_aton("10.9.8.7"), socket.htons(80), 0, b"rr", 0, 0, 0xffffffff))'
	others+=('service of IPVS TCP  0A090807:0050 rr *')
fi
ends "doctor of one that others use" 4 '' "$tool" doctor $group
for what in "${others[@]}"; do
	like "$what is refused" "$(cat "$base/out")" \
		"refused: .* has a network namespace of its own with $what in it, which"
done
kill -9 $router
wait_for 20 test ! -e "/proc/$router" || bail "who routes does not end"
if [ -n "${CKPT_IN_VM:-}" ]; then
	inside "$pid" /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
s.setsockopt(0, 1157, b"")'
fi

# A setting that cannot be read: what else is said is said of that network
reserved=/proc/sys/net/ipv4/ip_local_reserved_ports
inside "$pid" sh -c "seq -s , 3001 2 6001 >$reserved"
ends "doctor of one with a long setting" 4 '' "$tool" doctor $group
like "it is named" "$(cat "$base/out")" 'ip_local_reserved_ports is too long'
is "and nothing else" "$(grep -c ^refused: "$base/out")" 1
inside "$pid" sh -c "echo >$reserved"
ok "$group: nothing traces or freezes it" untraced $group
step $group 4
take_soon $group

# Killed and restored, twice
ok "$group: it is killed" kill_group $group
ends "where it cannot have its settings" 4 \
	"in its /proc/sys/net/[a-z_0-9/]*, which cannot be set here" \
	unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" &&
		exec "$2" restore boxed-net' sh /proc/sys/net "$tool"
ok "$group: nobody was made" group_gone $group
ok "$group: it is restored" "$tool" restore "$group@$second"
step $group 3
is_back $group
take_soon $group
step $group 4
ok "$group: it is killed once more" kill_group $group
for point in restore.late restore.release; do
	not_ok "$group: a restore that fails at $point" \
		env CKPT_FAULT=$point=fail "$inject_tool" restore $group
	not_ok "$group: one that is killed there" \
		env CKPT_FAULT=$point "$inject_tool" restore $group
	ok "$group: nobody is left" wait_for 20 group_gone $group
done
ok "$group: it is restored once more" "$tool" restore $group
step $group 4
is_back $group
ends_well $group

# By a pid: where its pids are free, and where somebody has one
start_tree() {	# NAME
	ready "$1"
	at_exit "end_group $1"
	setsid bash -c 'for fd in /proc/$$/fd/*; do
			[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
		done
		exec unshare -n -C sh -c "$@"' bash "$shell" sh "$base/$1" "$talker" "$port" \
		</dev/null >/dev/null 2>&1 &
	root=$!
	disown
	at_exit "kill -9 $root 2>/dev/null"
	wait_for 60 has_lines "$base/$1/said" 2 || bail "$1 does not start"
	step "$1" 1
}

for group in free-net taken-net; do
	start_tree $group
	for ((i = 0, rc = 1; i < 20 && rc; i++)); do
		rc=0
		"$tool" checkpoint --pid $root --name $group --root "$base/$group" --stop \
			--tcp repair >"$base/out" 2>&1 || rc=$?
	done
	is "$group: a checkpoint: $(tail -n 1 "$base/out")" $rc 0
	ok "$group: it is gone" wait_for 20 gone $root
	expected=same
	if [ $group = taken-net ]; then
		expected='new namespace'
		hold $root
	fi
	said "$tool" restore $group --tcp repair --json
	is "$group: it is restored" $rc 0
	document "$group: its pids" 'd["pids"]' "$expected"
	is_back $group
	step $group 2
	ends_well $group
done
done_testing
