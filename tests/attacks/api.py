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

# Characters of a line that are shown of a failure.
LINE = 400
METHODS = {"get", "head", "post", "delete", "put"}
# What counts as a refusal of a request against the document: those of the tool's own list, and the refusals of a request that
# is against it in other ways too, such as an address that is too long or a tag that no file has.
SETTINGS = '''
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 414, 415, 422, 428, 429, 431, 503]
'''


def figures(portal, cases, seed):
    """Makes at least so many requests, unless something is found before."""
    began = time.monotonic()
    document = json.loads(portal.request("GET", "/openapi.json").body)
    operations = sum(len(METHODS & set(item)) for item in document["paths"].values())
    # The examples and the coverage of the parameters are some seventy for each operation; the rest is random.
    each = max(4, 2 * cases // operations)
    # More headers than the HTTP library reads are answered by that, with the status and no more.
    for operation in (item[method] for item in document["paths"].values() for method in METHODS & set(item)):
        operation["responses"]["431"] = {"description": "The headers are too long."}
    with tempfile.TemporaryDirectory() as place:
        (pathlib.Path(place) / "openapi.json").write_text(json.dumps(document))
        (pathlib.Path(place) / "schemathesis.toml").write_text(SETTINGS)
        done = subprocess.run(
            [str(pathlib.Path(sys.executable).parent / "schemathesis"), "run", "openapi.json", "--url", portal.url, "--checks", "all",
             "--exclude-checks", "positive_data_acceptance,ignored_auth", "--max-examples", str(each), "--phases",
             "examples,coverage,fuzzing", "--workers", os.environ.get("ATTACK_API_WORKERS", "2"),
             "--request-timeout", "60", "--seed", str(seed), "--continue-on-failure", "--no-color",
             "--suppress-health-check", "filter_too_much,too_slow,data_too_large"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=place)
    found = re.search(r"(\d[\d,]*) generated", done.stdout)
    generated = int(found.group(1).replace(",", "")) if found else 0
    failures = re.search(r"found (\d+) unique", done.stdout)
    if done.returncode != 0:
        # A generated address or body may be longer than all that is said of it.
        print("\n".join(line if len(line) <= LINE else f"{line[:LINE]}… ({len(line)} characters)" for line in done.stdout.splitlines()))
    bad = int(failures.group(1)) if failures else (0 if done.returncode == 0 else "some")
    return [Figure("F21", "requests made from the API document: 5xx, undocumented statuses, types, headers or bodies, and "
                   "requests against the document that were answered", f"0 of {cases:,}",
                   f"{bad} of {generated:,} ({time.monotonic() - began:.0f} s)",
                   done.returncode == 0 and generated >= cases and portal.alive(), "tests/attack api")]
