# SPDX-License-Identifier: GPL-2.0-or-later
#
# pids.sh: pids that somebody else has when a tree wants them back; read in (".") after assert.sh

gone() { ! kill -0 "$1" 2>/dev/null; }

# Somebody outside who has this number until release, once nobody else has it
holder=
hold() {	# PID
	/usr/bin/python3 - "$1" >"$base/held" <<'PY' &
import ctypes, os, signal, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
pid = ctypes.c_int(int(sys.argv[1]))
args = struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(pid), 1, 0)
until = time.time() + 20
while (got := libc.syscall(435, args, len(args))) < 0:
    if time.time() > until:
        sys.exit(os.strerror(ctypes.get_errno()))
    time.sleep(0.05)
while got == 0:
    signal.pause()
print(got, flush=True)
os.waitpid(got, 0)
PY
	wait_for 30 grep -qx "$1" "$base/held" || bail "nobody can have pid $1"
	holder=$1
	at_exit "release"
}

release() {
	[ -z "$holder" ] || kill -9 "$holder"
	holder=
}
