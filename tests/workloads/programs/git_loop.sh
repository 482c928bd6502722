#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# git_loop.sh: two who commit and push at the same time, one who merges, packs and checks
#
# All dates are made of the step, so that the name of the last commit is a hash over everything.
# usage: git_loop.sh STEPS MODEL      (see journal.sh)
set -euEo pipefail
. "${0%/*}/journal.sh"
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@localhost
export GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@localhost
git config --global gc.auto 0
# A file that a restore has put back has another inode number and another change time. By default
# git takes that for a change at first, and a merge that is under way then for an error.
git config --global core.checkStat minimal
git config --global advice.detachedHead false

at() {	# STEP
	export GIT_AUTHOR_DATE="@$((1700000000 + $1)) +0000"
	export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
}

commit_all() { git add -A && git commit -q -m "$1"; }

# One of the two: starts from what was merged, changes files of its own
works() {	# WHO STEP
	local i

	cd "$1"
	git fetch -q origin main
	git reset -q --hard FETCH_HEAD
	for i in 1 2; do
		echo "$1 $2 $i" >>"$1/file$(((i * $2) % 7))"
		commit_all "$1: step $2, $i"
	done
	git push -q -f origin "HEAD:refs/heads/$1"
}

at 0
git init -q --bare -b main origin
git init -q -b main merger
(
	cd merger
	git remote add origin ../origin
	mkdir one two
	for i in {0..6}; do
		echo "begin" | tee "one/file$i" >"two/file$i"
	done
	commit_all begin
	git push -q origin main
)
git clone -q origin one
git clone -q origin two

for ((step = 1; step <= steps; step++)); do
	wait_for_model $step
	at $step
	(works one $step) &
	first=$!
	(works two $step) &
	wait $first
	wait $!
	cd merger
	git fetch -q origin
	git merge -q --no-ff -m "merge one, step $step" origin/one
	git merge -q --no-ff -m "merge two, step $step" origin/two
	git branch -q -f "step$((step % 5))"
	git push -q origin main
	[ $((step % 6)) != 0 ] || git gc -q --prune=now
	[ $((step % 5)) != 0 ] || git fsck --strict --no-progress --no-dangling
	[ -z "$(git status --porcelain)" ]
	seen=$(git rev-parse HEAD)
	cd ..
	step_done $step "$seen"
done
git -C origin fsck --strict --no-progress --no-dangling
[ "$(git -C origin rev-list --count main)" = $((1 + 6 * steps)) ]
running=$(git -C origin rev-parse main)
all_done
