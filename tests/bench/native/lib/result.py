# SPDX-License-Identifier: GPL-2.0-or-later
"""Ratios, told as the other benches tell theirs, and written to CKPT_BENCH_RESULTS."""
import json
import os
import statistics


def percentile(values, share):
    """The smallest value that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def note(text):
    """Say something that is no case."""
    print("# " + text, flush=True)


class Results:
    """What a bench tells; each measured value has been paired with one it is compared to."""

    def __init__(self, bench, small):
        self.bench, self.small = bench, small

    def tell(self, name, against, pairs, unit="ns", target=None):
        """pairs: (measured, against); unit: of both; target: the most that is wanted."""
        pairs = [pair for pair in pairs if pair[1]]
        if not pairs:
            return None     # nothing to compare it to
        ratios = [measured / other for measured, other in pairs]
        values = [measured for measured, _ in pairs]
        name = "%s: %s" % (self.bench, name)
        record = {"name": name, "ratio": round(statistics.median(ratios), 4),
                  "min": round(min(ratios), 4), "max": round(max(ratios), 4),
                  "times": len(ratios), "against": against, "unit": unit,
                  "p50": percentile(values, 50), "p99": percentile(values, 99),
                  "most": max(values),
                  "against_p50": percentile([other for _, other in pairs], 50)}
        scale, word = (1e6, "ms") if unit == "ns" else (1 << 20, "MiB")
        note("%s: %.3f (%.3f to %.3f, %d times), against %s; %.2f %s p50, %.2f p99, %.2f at most,"
             " to %.2f" % (name, record["ratio"], record["min"], record["max"], record["times"],
                           against, record["p50"] / scale, word, record["p99"] / scale,
                           record["most"] / scale, record["against_p50"] / scale))
        if target and record["ratio"] > target and not self.small:
            note("%s: %.4f misses the target of %.2f" % (name, record["ratio"], target))
        path = os.environ.get("CKPT_BENCH_RESULTS")
        if path:
            with open(path, "a", encoding="ascii") as file:
                file.write(json.dumps(record) + "\n")
        return record

    def within(self, name, values, bounds):
        """Say which percentiles, {percent: ns}, are more than they are meant to be."""
        for share, most in bounds.items():
            got = percentile(values, share)
            if got > most and not self.small:
                note("%s: %s: p%d %.2f ms misses the target of %.2f ms" % (
                    self.bench, name, share, got / 1e6, most / 1e6))
