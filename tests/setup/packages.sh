#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# packages.sh: install the Debian packages of packages.txt that are missing
#
# Without anything missing this asks dpkg once and leaves: no network, no root needed.
# usage: packages.sh [--check]     (--check only names what is missing, exit 1)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

missing() {
	local p
	local -A have=()
	while read -r p; do have[$p]=1; done < <(
		dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
			sed -n 's/^installed //p')
	while read -r p; do
		p=${p%%#*}
		p=${p//[[:space:]]/}
		[ -z "$p" ] || [ -n "${have[$p]:-}" ] || echo "$p"
	done <"$here/packages.txt"
}

mapfile -t need < <(missing)
[ ${#need[@]} -gt 0 ] || exit 0
if [ "${1:-}" = --check ]; then
	echo "missing packages: ${need[*]}"
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "packages: cannot install ${need[*]}: not root, install them first" >&2
	exit 1
fi
echo "installing packages: ${need[*]}"
export DEBIAN_FRONTEND=noninteractive
exec </dev/null
apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null
apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${need[@]}" >/dev/null
mapfile -t need < <(missing)
if [ ${#need[@]} -gt 0 ]; then
	echo "packages: still missing after the installation: ${need[*]}" >&2
	exit 1
fi
