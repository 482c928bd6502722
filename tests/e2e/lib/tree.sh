# SPDX-License-Identifier: GPL-2.0-or-later
#
# tree.sh: one hash over a directory, read in (".")

# tree DIR: names, types, modes, owners, times, links and contents of all that is in it
tree() {
	tar -C "$1" --sort=name --format=posix --numeric-owner \
		--pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime -cf - . | sha256sum |
		cut -d ' ' -f 1
}
