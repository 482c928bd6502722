# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree of processes in a cgroup of its own, which both ckpt-tool and CRIU can take.

It is no child of 'ckpt-tool run': in namespaces of its own CRIU would have more to do.
"""
import json
import os
import shutil
import signal
import subprocess
import time

from lib.filter import no_io_uring

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 4))
TOOL = os.environ.get("CKPT_TOOL", os.path.join(REPO, "build/ckpt-tool"))


def wait_for(seconds, what, test):
    """Until test() is true, which it is within seconds."""
    until = time.monotonic() + seconds
    while not test():
        if time.monotonic() > until:
            raise RuntimeError("waited %d s for %s" % (seconds, what))
        time.sleep(0.02)


def tool(*words, store=None):
    """A call of ckpt-tool that works.  Return: its document."""
    env = dict(os.environ)
    if store:
        env["CKPT_STORE"] = store
    done = subprocess.run([TOOL, *words, "--json"], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError("ckpt-tool %s: status %d: %s" % (
            " ".join(words), done.returncode, (done.stdout + done.stderr).decode()))
    return json.loads(done.stdout)


def cgroup_mount():
    """Where cgroup v2 is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[words.index("-") + 1] == "cgroup2":
                return words[4]
    raise RuntimeError("cgroup v2 is not mounted")


class Group:
    """The tree; its root directory is where all of it writes."""

    def __init__(self, name, root):
        self.name, self.root = name, root
        self.cgroup = os.path.join(cgroup_mount(), name)
        self.gaps = os.path.join(root, "gaps")
        self.child = None

    def enter(self):
        """Move this process into the cgroup, as the first of a session."""
        os.setsid()
        with open(os.path.join(self.cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")

    def start(self, script, *words, filtered=False):
        """Run a shell script beside a spinner, with nothing open but its input and output."""
        def before():
            self.enter()
            if filtered:
                no_io_uring()

        os.makedirs(self.root, exist_ok=True)
        os.makedirs(self.cgroup)
        with open(os.path.join(self.root, "log"), "wb") as log:
            # pylint: disable-next=consider-using-with
            self.child = subprocess.Popen(
                ["/bin/sh", "-c", '"$1" "$2" 300 50 & shift 2; ' + script, "sh",
                 os.path.join(REPO, "build/workloads/spinner"), self.gaps, *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
                preexec_fn=before)
        tool("tag", self.name, "/" + self.name, "--root", self.root)

    def pids(self):
        """All processes, as this machine sees them."""
        with open(os.path.join(self.cgroup, "cgroup.procs"), encoding="ascii") as file:
            return [int(line) for line in file]

    def kill(self, known=()):
        """Kill all of it, and wait until its pids, and the known ones, are free again."""
        known = set(known)

        def gone():
            if self.child:
                self.child.poll()
            for pid in self.pids():
                known.add(pid)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            with open(os.path.join(self.cgroup, "cgroup.events"), encoding="ascii") as file:
                populated = "populated 0" not in file.read()
            return not populated and not any(os.path.exists("/proc/%d" % pid) for pid in known)
        wait_for(10, "the end of a killed tree", gone)

    def end(self):
        """Leave nothing of it."""
        if not os.path.exists(self.cgroup):
            return
        with open(os.path.join(self.cgroup, "cgroup.freeze"), "w", encoding="ascii") as file:
            file.write("0")
        self.kill()
        subprocess.run([TOOL, "untag", self.name], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        os.rmdir(self.cgroup)
        shutil.rmtree(self.root, ignore_errors=True)

    def gaps_size(self):
        """How much the spinner has written; its clock may be another one after a restore."""
        return os.path.getsize(self.gaps)

    def gap_ns(self, since):
        """The longest time in which the spinner saw nothing, of what it has written since."""
        with open(self.gaps, encoding="ascii") as file:
            file.seek(since)
            return max((int(line.split()[1]) for line in file), default=0)
