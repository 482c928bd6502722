# SPDX-License-Identifier: GPL-2.0-or-later
"""What the coding agent keeps in memory: pages of state, scratch pages, its history."""
import array
import hashlib
import mmap
import zlib

PAGE = 4096
BLOCK = 16 * PAGE
WORDS = ("agent build call check class commit compile core diff edit error file fix fork "
         "function hash header include index int line link list loop main make map merge "
         "message module name node object open page parse patch path pipe plan pointer "
         "print program read return run source stack state step string struct table task "
         "test thread token tool trace tree type unsigned value void word write").split()


class Broken(Exception):
    """The agent found something that is not as it left it."""


class State:
    """Pages of text and numbers, like the heap of a long conversation.

    A half of them lies in bytearrays of 64 KiB (the heap), a quarter in one private
    anonymous mapping, a quarter in bytes objects that are replaced when they change, so
    that the allocator moves things about.  Each page has a checksum.
    """

    def __init__(self, rng, megabytes):
        self.random = rng
        pages = max(megabytes, 1) << 8
        self.corpus = " ".join(rng.choices(WORDS, k=40000)).encode()
        heap = pages // 2 // 16 * 16
        mapped = pages // 4
        self.heap = [bytearray(BLOCK) for _ in range(heap // 16)]
        self.mapped = mmap.mmap(-1, mapped * PAGE,
                                flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.cells = [b""] * (pages - heap - mapped)
        self.first_cell = heap + mapped
        self.first_mapped = heap
        self.sums = array.array("I", bytes(4 * pages))
        for number in range(pages):
            self.write(number)

    def view(self, number):
        """Page `number`, not copied."""
        if number >= self.first_cell:
            return self.cells[number - self.first_cell]
        if number >= self.first_mapped:
            at = (number - self.first_mapped) * PAGE
            return memoryview(self.mapped)[at:at + PAGE]
        at = number % 16 * PAGE
        return memoryview(self.heap[number // 16])[at:at + PAGE]

    def write(self, number):
        """Give page `number` new content: some text, an eighth of it incompressible."""
        at = self.random.randrange(len(self.corpus) - PAGE)
        noise = self.random.randbytes(PAGE // 8)
        page = (b"page %8d " % number + noise + self.corpus[at:at + PAGE])[:PAGE]
        if number >= self.first_cell:
            self.cells[number - self.first_cell] = page
        else:
            self.view(number)[:] = page
        self.sums[number] = zlib.crc32(page)

    def touch(self):
        """Read and rewrite a fiftieth of the pages, in a few runs and many single ones."""
        seen = hashlib.sha256()
        pages = len(self.sums)
        numbers = [self.random.randrange(pages) for _ in range(pages // 100)]
        for _ in range(4):
            first = self.random.randrange(pages)
            numbers += [n % pages for n in range(first, first + pages // 400)]
        for number in numbers:
            seen.update(self.view(number))
            self.write(number)
        return seen.digest()

    def verify(self):
        """Compare every page with its checksum."""
        for number, expected in enumerate(self.sums):
            if zlib.crc32(self.view(number)) != expected:
                raise Broken("page %d of the state has changed by itself" % number)

    def digest(self):
        """SHA-256 of all pages."""
        seen = hashlib.sha256()
        for number in range(len(self.sums)):
            seen.update(self.view(number))
        return seen.digest()


class Pages:
    """A private mapping whose pages are written, dropped, moved and looked at again.

    Without a file it is anonymous: a dropped page reads as zeros, and the mapping grows and
    shrinks.  With one, a written page is a private copy, and a dropped one shows the file.
    """

    def __init__(self, rng, pages, file=None):
        self.random = rng
        self.small = pages
        self.file = None
        if file:
            self.file = rng.randbytes(pages * PAGE)
            with open(file, "wb") as out:
                out.write(self.file)
            with open(file, "rb") as source:
                self.map = mmap.mmap(source.fileno(), 0, flags=mmap.MAP_PRIVATE,
                                     prot=mmap.PROT_READ | mmap.PROT_WRITE)
        else:
            self.map = mmap.mmap(-1, pages * PAGE,
                                 flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.fill = [None] * pages

    def expected(self, page):
        """What page `page` must hold."""
        if self.fill[page] is not None:
            return self.fill[page] * (PAGE // 8)
        return self.file[page * PAGE:(page + 1) * PAGE] if self.file else bytes(PAGE)

    def touch(self, number):
        """Check all pages, then write some, drop some and now and then resize."""
        for page in range(len(self.fill)):
            if self.map[page * PAGE:(page + 1) * PAGE] != self.expected(page):
                raise Broken("page %d of the %s mapping has changed by itself" %
                             (page, "file" if self.file else "scratch"))
        for _ in range(8):
            page = self.random.randrange(len(self.fill))
            self.fill[page] = self.random.randbytes(8)
            self.map[page * PAGE:(page + 1) * PAGE] = self.expected(page)
        count = self.random.randrange(1, 6)
        first = self.random.randrange(len(self.fill) - count)
        self.map.madvise(mmap.MADV_DONTNEED, first * PAGE, count * PAGE)
        self.fill[first:first + count] = [None] * count
        if not self.file and number % 4 == 0:
            pages = self.small if number % 8 == 0 else 3 * self.small
            self.map.resize(pages * PAGE)
            self.fill = (self.fill + [None] * pages)[:pages]
        return hashlib.sha256(repr(self.fill).encode()).digest()


class History:
    """The conversation so far: it only grows, and old parts are read again."""

    def __init__(self, rng):
        self.random = rng
        self.turns = []

    def extend(self, number, edited, output):
        """Remember this iteration; a hash of the newest turns and of one old turn."""
        for role in ("plan", "edit", "result"):
            self.turns.append({
                "turn": number, "role": role, "files": list(edited),
                "text": " ".join(self.random.choices(WORDS, k=200)),
                "output": output.decode() if role == "result" else "",
            })
        old = self.random.randrange(len(self.turns))
        return hashlib.sha256(repr(self.turns[-3:] + self.turns[old:old + 1]).encode()).digest()

    def digest(self):
        """SHA-256 of the whole history."""
        return hashlib.sha256(repr(self.turns).encode()).digest()
