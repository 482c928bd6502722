#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of its processor time a command takes in other threads than its first one

usage: cores.py OUT COMMAND...      OUT gets the percentage, and both times in ms

It is not how long anything lasts, so that a busy machine shows the same.
"""
import os
import subprocess
import sys

with subprocess.Popen(sys.argv[2:]) as program:
    # it has ended, and can be looked at as long as nobody has asked for its status
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
    with open("/proc/%d/task/%d/schedstat" % (program.pid, program.pid), encoding="ascii") as file:
        first = int(file.read().split()[0]) / 1e6
    with open("/proc/%d/stat" % program.pid, encoding="ascii") as file:
        ticks = file.read().rpartition(")")[2].split()[11:13]
whole = sum(map(int, ticks)) * 1000 / os.sysconf("SC_CLK_TCK")
with open(sys.argv[1], "w", encoding="ascii") as out:
    print("%d %d %d" % (max(0, whole - first) * 100 / max(whole, 1), first, whole), file=out)
sys.exit(program.returncode)
