#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""rules.py: the rules of this tree that no ready-made tool knows

usage: rules.py RULE [ROOT]       RULE: spdx, size, words, includes, pure, columns, exec,
                                  quiet
Prints one line "file:line: what" per violation; exit status 1 when there are any.
"""
import os
import re
import subprocess
import sys

# What each room of the library may include besides itself, base/ and uapi
ROOMS = ("base", "nl", "track", "proc", "fs", "gpu", "net", "store", "sandbox", "policy",
         "metrics", "flow")
JOINS = "flow"
# The one arrow between rooms: a tracker is a use of the client and nothing else
ARROWS = {("track", "nl")}
# Kernel files and library rooms without globals and I/O: they take all they need as arguments
PURE = re.compile(r"^(kmod/(dirty|ranges|changeset|pageset)[^/]*\.c|tools/libckpt/policy/.*\.c"
                  r"|tools/libckpt/store/format[^/]*\.c)$")
PURE_BANNED_INCLUDES = re.compile(
    r"<(linux/(fs|fsnotify|fsnotify_backend|netlink|sysfs|kobject|cgroup|sched|file|mount)\.h"
    r"|net/.*|fcntl\.h|unistd\.h|sys/(socket|stat|mman|ioctl)\.h|stdio\.h)>"
    r"|\"(group|members|netlink|sysfs|fswatch|pagewalk)\.h\"")
SOFT, HARD = 500, 800
SOURCE = re.compile(r"(\.(c|h|S|sh|py|yaml|mk)|/Kbuild|(^|/)Makefile|^\.ci/run)$")
CODE = re.compile(r"\.[chS]$")
# brackets, so that the pattern does not find itself: no file is exempt
WORDS = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b|\b[Ff]or no[w]\b")
LICENCE = (
    (re.compile(r"^kmod/"), "GPL-2.0"),
    (re.compile(r"^tests/kunit/.*\.[ch]$"), "GPL-2.0"),
    (re.compile(r"^uapi/.*\.h$"), "GPL-2.0 WITH Linux-syscall-note"),
    (re.compile(r""), "GPL-2.0-or-later"),
)


def files(root):
    """Every file of the tree that git does not ignore, relative to its root."""
    out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
                         check=True, stdout=subprocess.PIPE).stdout.decode()
    return sorted({f for f in out.split("\0") if f and os.path.isfile(os.path.join(root, f))})


def lines(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as f:
        return f.read().splitlines()


def is_source(root, name):
    if SOURCE.search(name):
        return True
    path = os.path.join(root, name)
    with open(path, "rb") as f:
        return f.read(2) == b"#!"


def spdx(root):
    for name in files(root):
        if not is_source(root, name):
            continue
        want = next(l for r, l in LICENCE if r.search(name))
        head = "\n".join(lines(root, name)[:3])
        m = re.search(r"SPDX-License-Identifier: ([^\n]*?)\s*(\*/)?(\n|$)", head)
        if not m:
            yield name, 1, "no SPDX-License-Identifier in the first lines"
        elif m.group(1).strip("() ") != want:
            yield name, 1, f"licence {m.group(1)}, not {want}"


def size(root):
    for name in files(root):
        if not is_source(root, name):
            continue
        n = len(lines(root, name))
        if n > HARD:
            yield name, n, f"{n} lines, more than {HARD}: split it"
        elif n > SOFT:
            print(f"# {name}: {n} lines, more than {SOFT}", file=sys.stderr)


def words(root):
    for name in files(root):
        if name.startswith("COPYING"):
            continue
        if not (is_source(root, name) or name.endswith((".md", ".txt", ".8", ".7", ".1"))):
            continue
        for i, l in enumerate(lines(root, name), 1):
            m = WORDS.search(l.replace("XXXXXX", ""))
            if m:
                yield name, i, f"the word {m.group(0)}"


def includes(root):
    for name in files(root):
        m = re.match(r"tools/libckpt/([^/]+)/", name)
        if not CODE.search(name):
            continue
        for i, l in enumerate(lines(root, name), 1):
            inc = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', l)
            if not inc:
                continue
            # <net/if.h> is none of ours
            target = inc.group(2)
            if m and inc.group(1) == '"':
                room = target.split("/")[0]
                if target.startswith(".."):
                    yield name, i, f"{target}: include by room, not by a way up"
                elif "/" in target and room in ROOMS and m.group(1) != JOINS and \
                        room not in (m.group(1), "base") and \
                        (m.group(1), room) not in ARROWS:
                    yield name, i, f"{m.group(1)}/ includes {target}: only {JOINS}/ joins rooms"
            if name.startswith(("tools/", "uapi/")) and target.startswith(("kmod/", "../kmod")):
                yield name, i, f"{target}: the module is reached through uapi/ alone"
            if name.startswith("kmod/") and "libckpt" in target:
                yield name, i, f"{target}: the module includes nothing of the library"


def pure(root):
    decl = re.compile(r"^(static\s+)?(?!const\b|static\s+const\b|typedef|enum|union"
                      r"|struct\s+\w+\s*[{;]|return|extern|inline|MODULE_|EXPORT_)"
                      r"[A-Za-z_][\w\s\*]*\b(\w+)(\[[^\]]*\])*\s*(=|;)")
    for name in files(root):
        if not PURE.match(name):
            continue
        for i, l in enumerate(lines(root, name), 1):
            if PURE_BANNED_INCLUDES.search(l) and "#include" in l:
                yield name, i, "a pure file includes " + l.split("include", 1)[1].strip()
            elif decl.match(l) and not re.match(r"(static\s+)?(inline\s+)?const\b", l) and \
                    " const " not in l.split("=")[0] and "(" not in l.split("=")[0]:
                yield name, i, "a pure file has a global: " + l.strip()
            elif re.match(r"(static\s+)?DEFINE_(MUTEX|SPINLOCK|RWLOCK|XARRAY|IDA|IDR)", l):
                yield name, i, "a pure file has a global: " + l.strip()


def columns(root):
    for name in files(root):
        if not is_source(root, name):
            continue
        for i, l in enumerate(lines(root, name), 1):
            if len(l.expandtabs(8)) > 100 and "://" not in l:
                yield name, i, "more than 100 columns"
            if l != l.rstrip():
                yield name, i, "white space at the end"


def executable(root):
    for name in files(root):
        path = os.path.join(root, name)
        with open(path, "rb") as f:
            script = f.read(2) == b"#!"
        if script != os.access(path, os.X_OK) and not os.path.islink(path):
            yield name, 1, "starts with #! but is not executable" if script else \
                "is executable but no program"


def quiet(root):
    """The module says nothing that somebody can make it say again and again."""
    function = re.compile(r"^[a-z].*\b(\w+)\(.*[^;]$")
    speaks = re.compile(r"\b(pr_[a-z]+|printk|dev_[a-z]+|WARN|WARN_ON)(_\w+)?\(")
    where = ""
    for name in files(root):
        if not re.match(r"kmod/.*\.[ch]$", name):
            continue
        for i, l in enumerate(lines(root, name), 1):
            m = function.match(l)
            where = m.group(1) if m else where
            m = speaks.search(l)
            if m and not l.startswith(" *") and (m.group(2) or "").lower()[-5:] != "_once" and \
                    not where.endswith(("_init", "_exit", "_release")):
                yield name, i, f"{m.group(0)[:-1]} in {where}, which may be called again and again"


def changes(root, name, script):
    """Does the sed script change the file?  One that matches nothing is no error to sed."""
    path = os.path.join(root, "kmod", name)
    out = subprocess.run(["sed", script, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         check=False)
    if out.returncode:
        return False
    with open(path, "rb") as f:
        return out.stdout != f.read()


def faults(root):
    """Each fault of the module that a test has to find is one, and in docs/testing.md."""
    name = "tests/run/mutants"
    with open(os.path.join(root, "docs/testing.md"), encoding="utf-8") as f:
        told = set(re.findall(r"`([a-z0-9-]+)`", f.read()))
    for i, l in enumerate(lines(root, name), 1):
        fields = l.split("\t")
        if not re.match(r"[a-z][a-z0-9-]*\t", l):
            continue
        if fields[0] not in told:
            yield name, i, f"{fields[0]} is not in docs/testing.md"
        if len(fields) < 4 or not changes(root, fields[1], fields[2]):
            yield name, i, f"{fields[0]} changes nothing in {fields[1]}"


RULES = {"spdx": spdx, "size": size, "words": words, "includes": includes, "pure": pure,
         "columns": columns, "exec": executable, "quiet": quiet, "faults": faults}


def main():
    root = sys.argv[2] if len(sys.argv) > 2 else \
        os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    bad = 0
    for name, line, what in RULES[sys.argv[1]](root):
        print(f"{name}:{line}: {what}")
        bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
