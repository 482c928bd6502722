# SPDX-License-Identifier: GPL-2.0-or-later
#
# tree.sh: one hash over a directory, read in (".")

# tree DIR: names, types, modes, owners, times, links and contents of all that is in it
tree() {
	tar -C "$1" --sort=name --format=posix --numeric-owner \
		--pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime -cf - . | sha256sum |
		cut -d ' ' -f 1
}

# listing DIR: the same, a line for each name, for a person to compare
listing() {
	(cd "$1" && find . -mindepth 1 -printf '%P %y %m %n %s %l\n' | sort
	find . -type f -print0 | sort -z | xargs -0 sha256sum)
}
