"""Figures that tests of the crates measure: how those are run, and what is read of their words."""

import os
import re
import subprocess
import time

from conftest import ROOT

from attacks.target import Figure


def cargo_test(arguments, variables):
    began = time.monotonic()
    *where, name = arguments
    done = subprocess.run(
        ["cargo", "test", "--workspace", "--locked", "--quiet", *where, "--", "--nocapture", name], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables})
    ran = sum(int(count) for count in re.findall(r"test result: ok\. (\d+) passed", done.stdout))
    return done.returncode == 0 and ran > 0, done.stdout, time.monotonic() - began


def measured(name, of, short, say, command):
    """The figure of a row: what, the target, the tests with what makes them long and short (`None`: not run then), and the
    words of theirs that are the measure."""
    what, target, tests, words = of
    good, said, seconds = True, [], 0
    for arguments, long, brief in tests:
        variables = brief if short else long
        if variables is None:
            continue
        passed, text, took = cargo_test(arguments, variables)
        good, seconds = good and passed, seconds + took
        said += re.findall(words, text)
        if not passed:
            say(text[-4000:])
    counted = "; ".join(dict.fromkeys(said)) if len(set(said)) < 8 else f"{said[0]} and {len(said) - 1} lines more"
    return Figure(name, what, target, f"{counted or 'passed' if good else 'failed'} ({seconds:.0f} s)", good, command)
