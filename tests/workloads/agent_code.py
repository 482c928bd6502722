# SPDX-License-Identifier: GPL-2.0-or-later
"""The coding agent's project: C files that are edited, built and tested."""
import hashlib
import os
import stat
import subprocess
import time

from agent_memory import Broken

MASK = 0xffffffff
LIMIT = 12

MODULE = """#include "modules.h"

/* revision {revision} */
unsigned int m{name:02d}(unsigned int x)
{{
	x = x * {a}u + {b}u;
	x ^= x >> {c};
	return x + {d}u;
}}
"""

MAIN = """#include <stdio.h>
#include <stdlib.h>
#include "modules.h"

static unsigned int (*const modules[])(unsigned int) = {{ {table} }};

/* one line "module x rounds" on standard input, one number on standard output */
int main(void)
{{
	unsigned int module, x, rounds, size = 1u << 18, *memory = calloc(size, sizeof(x));

	if (!memory)
		return 1;
	while (scanf("%u %u %u", &module, &x, &rounds) == 3) {{
		for (unsigned int i = 0; i < rounds; i++) {{
			x = modules[module](x);
			memory[x % size] = x;
		}}
		printf("%u\\n", x);
		fflush(stdout);
	}}
	free(memory);
	return 0;
}}
"""

MAKEFILE = """objects = $(patsubst %.c,%.o,$(wildcard *.c))
program: $(objects)
	gcc -o $@ $^
%.o: %.c modules.h
	gcc {cflags} -c -o $@ $<
"""


class Project:
    """C files in the current directory, and what the agent knows about them."""

    def __init__(self, rng, think, optimize):
        self.random = rng
        self.think = think
        self.cflags = ["-O%d" % optimize, "-Wall", "-Werror"]
        self.modules = []
        self.environment = dict(os.environ, LC_ALL="C")
        self.write("Makefile", MAKEFILE.format(cflags=" ".join(self.cflags)))
        for _ in range(3):
            self.add()
        self.write_tables()
        self.run(["make", "-s"])

    def write(self, name, text):
        """Write a file in one of the ways in which editors do."""
        way = self.random.randrange(3)
        if way == 0 or not os.path.exists(name):
            with open(name, "w") as file:
                file.write(text)
        elif way == 1:
            with open(name + "~", "w") as file:
                file.write(text)
            os.rename(name + "~", name)
        else:
            with open(name, "r+") as file:
                file.write(text)
                file.truncate()

    def read(self, name):
        """A file's content, from the disk."""
        with open(name, "rb") as file:
            return file.read()

    def write_module(self, number):
        """Give a module new constants, on disk and in mind."""
        module = {"name": number, "revision": self.random.randrange(1 << 20),
                  "a": self.random.randrange(1 << 32) | 1, "b": self.random.randrange(1 << 32),
                  "c": self.random.randrange(1, 31), "d": self.random.randrange(1 << 32)}
        self.modules[number] = module
        self.write("m%02d.c" % number, MODULE.format(**module))

    def add(self):
        """A new module."""
        self.modules.append(None)
        self.write_module(len(self.modules) - 1)

    def write_tables(self):
        """The header and the main program, after a module was added."""
        names = ["m%02d" % m["name"] for m in self.modules]
        self.write("modules.h", "".join("unsigned int %s(unsigned int x);\n" % n for n in names))
        self.write("main.c", MAIN.format(table=", ".join(names)))

    def edit(self, number):
        """Change one to three modules and a note beside them.

        Return: the names of the C files that are to be compiled."""
        edited = []
        for module in sorted(self.random.sample(range(len(self.modules)),
                                                self.random.randrange(1, 4))):
            self.write_module(module)
            edited.append("m%02d.c" % module)
        if number % 5 == 0 and len(self.modules) < LIMIT:
            self.add()
            self.write_tables()
            edited = ["m%02d.c" % m["name"] for m in self.modules] + ["main.c"]
        self.note(number)
        return edited

    def note(self, number):
        """Directories, links, names and modes: the rest of what happens to a workspace."""
        os.makedirs("notes/%d" % (number % 3), exist_ok=True)
        path = "notes/%d/%d.md" % (number % 3, number)
        with open(path, "w") as file:
            file.write("iteration %d: %d\n" % (number, self.random.randrange(1 << 30)))
        if number % 2 == 0:
            os.chmod(path, 0o600)
            os.link(path, "notes/linked-%d" % number)
        if number % 3 == 0:
            os.symlink(path, "notes/newest~")
            os.rename("notes/newest~", "notes/newest")
        if number > 4:
            old = "notes/%d/%d.md" % ((number - 4) % 3, number - 4)
            if number % 4 == 1:
                os.rename(old, "notes/kept-%d.md" % (number - 4))
            elif number % 4 == 3:
                os.unlink(old)

    def run(self, command, expected=0):
        """Run a build command. Return: what it said."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=self.environment)
        if (done.returncode == 0) != (expected == 0):
            raise Broken("%s ended with %d: %s" % (" ".join(command), done.returncode,
                                                   done.stdout.decode(errors="replace")))
        return done.stdout

    def build(self, number, edited):
        """Compile what was edited and link: by make, or file by file."""
        said = b""
        if number % 4 == 2:
            with open("wrong.c", "w") as file:
                file.write("int wrong = missing_%d;\n" % number)
            said += self.run(["gcc", *self.cflags, "-c", "-o", "wrong.o", "wrong.c"], expected=1)
            os.unlink("wrong.c")
        if number % 3 == 0:
            return said + self.run(["make", "-s"])
        for name in edited:
            pipe = ["-pipe"] if number % 2 else []
            said += self.run(["gcc", *self.cflags, *pipe, "-c", "-o", name[:-2] + ".o", name])
        objects = ["m%02d.o" % m["name"] for m in self.modules] + ["main.o"]
        return said + self.run(["gcc", "-o", "program", *objects])

    def test(self, number):
        """Talk to the program over pipes; its answers must be those the agent expects."""
        child = subprocess.Popen(["./program"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        answers = []
        for _ in range(4):
            module = self.random.choice(self.modules)
            x = self.random.randrange(1 << 32)
            rounds = self.random.randrange(200, 2000)
            time.sleep(self.think)
            child.stdin.write(b"%d %d %d\n" % (module["name"], x, rounds))
            child.stdin.flush()
            answer = child.stdout.readline().strip()
            for _ in range(rounds):
                x = (x * module["a"] + module["b"]) & MASK
                x = ((x ^ x >> module["c"]) + module["d"]) & MASK
            if answer != b"%d" % x:
                raise Broken("the program of iteration %d answered %s, not %d" %
                             (number, answer.decode(errors="replace"), x))
            answers.append(answer)
        child.stdin.close()
        child.stdout.close()
        if child.wait() != 0:
            raise Broken("the program of iteration %d ended with %d" %
                         (number, child.returncode))
        return b" ".join(answers)

    def tree_digest(self):
        """SHA-256 of the workspace: names, modes, link targets, contents."""
        seen = hashlib.sha256()
        for folder, folders, files in os.walk("."):
            folders.sort()
            for name in sorted(files + folders):
                path = os.path.join(folder, name)
                what = os.lstat(path)
                seen.update(b"%s %o %d\n" % (path.encode(), what.st_mode,
                                             0 if stat.S_ISDIR(what.st_mode) else what.st_nlink))
                if stat.S_ISLNK(what.st_mode):
                    seen.update(os.readlink(path).encode())
                elif stat.S_ISREG(what.st_mode) and name != "journal":
                    seen.update(self.read(path))
        return seen.digest()
