"""What is measured without a server: what the gates know (F2, F3), rates by address (F24), texts of refusals (F34), and what
fuzzing finds in what is decoded (F14) and in what is judged (F15).

    PYTHONPATH=tests:tests/clients python -m attacks.inside [--seconds 600] [F2 F14 ...]
"""

import argparse
import os
import re
import subprocess
import sys
import time

from conftest import ROOT

from attacks.cargo import measured
from attacks.target import Figure

# As in durability: what, the target, the tests, what of their words is the measure.
TESTS = {
    "F2": ("kinds of statements that pass the gate beside queries and what asks about them", "0; a new kind does not compile", [
        (["--lib", "gate::tests::closure"], {}, {}),
    ], r"\d+ kinds of statements, \d+ of them answered"),
    "F3": ("functions without a reviewed row, or beyond their bound", "0; what is unknown is not there", [
        (["--lib", "functions::tests"], {}, {}), (["--test", "worker", "functions::"], {}, {}),
    ], r"\d+ functions, each with the answer that was reviewed|\d+ calls beyond a bound, all refused"),
    "F24": ("buckets for 10,000 requests of one peer, of 100 clients of a proxy, of an IPv6 network", "1, 100, 1", [
        (["--lib", "tests::rates"], {}, {}),
    ], r"never"),
    "F34": ("texts of refusals that say what they must not, or a code that is not documented", "0", [
        (["--test", "main", "refusals::"], {}, {}),
    ], r"never"),
}

# Of each figure: the targets of fuzz/run.
FUZZED = {"F14": ["handles", "tickets", "parameters", "intake"], "F15": ["gate", "export", "names"]}


def fuzzed(name, seconds, say):
    """Runs fuzz targets one after the other; the first finding of one ends it."""
    began, told, good = time.monotonic(), [], True
    for target in FUZZED[name]:
        done = subprocess.run([str(ROOT / "fuzz/run"), str(seconds), target], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", env=environment())
        ran = re.search(r"stat::number_of_executed_units: (\d+)", done.stdout)
        peak = re.search(r"stat::peak_rss_mb: +(\d+)", done.stdout)
        good = good and done.returncode == 0 and ran is not None
        told.append(f"{target} {int(ran.group(1)):,}" + (f" ({peak.group(1)} MiB)" if peak else "") if ran else f"{target} none")
        if done.returncode != 0:
            say(done.stdout[-4000:])
            told[-1] += " AND A FINDING"
    return Figure(name, f"inputs by coverage, {seconds} s for each target: crashes, hangs of 10 s, more than 512 MiB", "0",
                  f"{'0' if good else 'some'}; {', '.join(told)} ({time.monotonic() - began:.0f} s)", good,
                  f"fuzz/run {seconds} {' '.join(FUZZED[name])}")


def environment():
    """Fuzzing has flags of its own, and so a directory of its own for what it builds."""
    return {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}


def figures(short, seconds=60, chosen=(), say=print):
    """All of them, or those that are named; the short form does not fuzz."""
    found = []
    for name in [*TESTS, *([] if short else FUZZED)]:
        if chosen and name not in chosen:
            continue
        command = f"tests/attack inside {name}"
        found.append(fuzzed(name, seconds, say) if name in FUZZED else measured(name, TESTS[name], short, say, command))
        say(f"  {name}: {found[-1].measured}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seconds", type=int, default=60, help="how long each target is fuzzed")
    options = parser.parse_args()
    found = figures(options.short, options.seconds, options.figures)
    for one in found:
        print(f"{one.name} | {one.what} | {one.target} | {one.measured} | {'pass' if one.passed else 'FAIL'} | {one.command}")
    return 0 if all(one.passed for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
