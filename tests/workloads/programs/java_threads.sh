#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# java_threads.sh: Threads.java on a machine of Java
#
# usage: java_threads.sh CLASSES STEPS MODEL      (see journal.py)
#
# Two in pid namespaces of their own have one pid, and by that one file in /tmp to tell of
# themselves; the undisturbed one, which waits for nobody, leaves it to the other.
perf=-XX:+UsePerfData
[ "$3" != - ] || perf=-XX:-UsePerfData
exec java $perf -Xmx128m -XX:+UseG1GC -cp "$1" Threads "$2" "$3"
