"""F21: requests made from the API document, by its schemas and against them.

Every check that schemathesis has is held but two: `positive_data_acceptance`, because a text that the document allows as
a statement, a column or a condition need not be one, and `ignored_auth`, because nothing here asks for a credential.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from attacks.target import Figure

METHODS = {"get", "head", "post", "delete", "put"}


def figures(portal, cases, seed):
    """Makes at least so many requests, unless something is found before."""
    began = time.monotonic()
    document = json.loads(portal.request("GET", "/openapi.json").body)
    operations = sum(len(METHODS & set(item)) for item in document["paths"].values())
    # The examples and the coverage of the parameters are some seventy for each operation; the rest is random.
    each = max(4, 2 * cases // operations)
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [str(pathlib.Path(sys.executable).parent / "schemathesis"), "run", f"{portal.url}/openapi.json", "--checks", "all",
             "--exclude-checks", "positive_data_acceptance,ignored_auth", "--max-examples", str(each), "--phases",
             "examples,coverage,fuzzing", "--workers", os.environ.get("ATTACK_API_WORKERS", "2"),
             "--request-timeout", "60", "--seed", str(seed), "--continue-on-failure", "--no-color",
             "--suppress-health-check", "filter_too_much,too_slow,data_too_large"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=place)
    found = re.search(r"(\d[\d,]*) generated", done.stdout)
    generated = int(found.group(1).replace(",", "")) if found else 0
    failures = re.search(r"found (\d+) unique", done.stdout)
    if done.returncode != 0:
        print(done.stdout[-12000:])
    bad = int(failures.group(1)) if failures else (0 if done.returncode == 0 else "some")
    return [Figure("F21", "requests made from the API document: 5xx, undocumented statuses, types, headers or bodies, and "
                   "requests against the document that were answered", f"0 of {cases:,}",
                   f"{bad} of {generated:,} ({time.monotonic() - began:.0f} s)",
                   done.returncode == 0 and generated >= cases and portal.alive(), "tests/attack api")]
