#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The coding agent from the npm registry, with its model: freeze, time, bytes, restore.

usage: agent_bench.py FOLDER      where the trees, the store and CRIU's images go; made and removed
"""
import json
import os
import random
import subprocess
import sys

from lib import group, series
from lib.criu import criu_if_wanted
from lib.result import Results, note

SMALL = os.environ.get("CKPT_BENCH") == "small"
INSTANTS, BLOCKS, RESTORES = (4, 2, 1) if SMALL else (200, 20, 5)
INSTANTS = int(os.environ.get("CKPT_BENCH_INSTANTS", INSTANTS))
BLOCKS = int(os.environ.get("CKPT_BENCH_BLOCKS", BLOCKS))
AGENT = r"""
dir=$1 steps=$2 model=$3 agent=$4
"$model" --steps "$steps" --think-ms 300 --port-file "$dir/port" &
until [ -s "$dir/port" ]; do sleep 0.1; done
cd "$dir/workspace"
export HOME="$dir/home" OPENAI_API_KEY=none OPENAI_MODEL=mock PATH="$agent:$PATH"
export OPENAI_BASE_URL="http://127.0.0.1:$(cat "$dir/port")/v1"
node "$agent/qwen" --auth-type openai -y -p "Do the steps."
echo "ended with $?"
sleep 1000000
"""


class Agent(group.Group):
    """The agent; each step that it does is a line."""

    def begin(self, filtered=True):
        """Start it, until it has done its first step."""
        folder = subprocess.run([os.path.join(group.REPO, "tests/setup/agent.sh")], check=True,
                                stdout=subprocess.PIPE).stdout.decode().strip()
        os.makedirs(os.path.join(self.root, "workspace"))
        os.makedirs(os.path.join(self.root, "home/.qwen"))
        # else it ends after a thousand
        with open(os.path.join(self.root, "home/.qwen/settings.json"), "w",
                  encoding="ascii") as file:
            json.dump({"model": {"maxToolCallsPerTurn": 0}}, file)
        subprocess.run(["git", "init", "-q", os.path.join(self.root, "workspace")], check=True)
        self.start(AGENT, self.root, "100000",
                   os.path.join(group.REPO, "tests/workloads/model_server.py"), folder,
                   filtered=filtered)
        group.wait_for(120, "the agent's first step", self.steps)

    def steps(self):
        """The steps done."""
        try:
            with open(os.path.join(self.root, "workspace/steps"), encoding="ascii") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def gets_on(self):
        """Wait for two more; each was done once and in order."""
        before = len(self.steps())
        group.wait_for(60, "the agent's next steps", lambda: len(self.steps()) > before + 1)
        if self.steps() != [str(n + 1) for n in range(len(self.steps()))]:
            raise RuntimeError("a step is missing or was done twice")


def main():
    """The series, and what it tells."""
    seed = int(os.environ.get("CKPT_SEED", "1"))
    folder = sys.argv[1]
    agent = Agent("ckpt-bench-agent-%d" % os.getpid(), os.path.join(folder, "agent"))
    try:
        run = series.Series(agent, criu_if_wanted(), folder, random.Random(seed))
        agent.begin()
        note("seed %d; %d instants, each verified; %d full ones; as many dumps by CRIU" % (
            seed, INSTANTS, BLOCKS))
        for _ in range(BLOCKS):
            run.block(INSTANTS // BLOCKS, lambda: run.nap(0, 1))
        run.restores(RESTORES, lambda: None, agent.gets_on)
        series.tell(Results("agent", SMALL), run, {50: 5e6, 99: 15e6})
    finally:
        agent.end()


main()
