"""What must never be lost and never be answered wrongly, at full size: hostile files (F12), flipped bits (F13), a storage
that fails at random (F26), racing writers (F27), killed processes (F28), power cuts (F29), a storage that creates twice (F30).

    PYTHONPATH=tests:tests/clients python -m attacks.durability [--short] [F13 F28 ...]

Most of it are tests of the crates, run by `cargo test` with the variables that make them long. F27 races on a real bucket as
well, that of `PORTICO_TEST_S3` or one that is started for it; F28 kills the real binary, F30 shows it a bucket that ignores
conditions.
"""

import argparse
import contextlib
import http.server
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import requests
from conftest import ROOT, binary
from test_crash import READY_S, kill_at_random
from test_steps import kill_every_step

from attacks.cargo import measured
from attacks.target import Figure

# Of each figure: what, the target, the tests with what makes them long and short, what of their words is the measure.
TESTS = {
    "F12": ("damaged and hostile files through intake and the jail", "0 break the reader, all read or refused", [
        (["--test", "mutants", "no_damaged_copy"], {"PORTICO_MUTANTS": "1000"}, {"PORTICO_MUTANTS": "20"}),
        (["--test", "main", "jail::every_"], {"PORTICO_HOSTILE": "full"}, None),
    ], r"\d+ mutants in all, .*|\d+ files are read, \d+ refused|slowest \S+, largest \d+ MiB"),
    "F13": ("flipped bits in data files, exports, Delta log and catalog", "0 wrong answers of 1,000", [
        (["--test", "main", "durable::rot::"], {"PORTICO_FLIPS": "1000"}, {"PORTICO_FLIPS": "10"}),
    ], r"\d+ flips, 0 wrong answers"),
    "F26": ("publish and ask while storage and catalog fail at random", "0 wrong, 0 lost, 0 twice of 1,000 seeds", [
        (["--test", "main", "durable::chaos::"], {"PORTICO_CHAOS_SEEDS": "1000"}, {"PORTICO_CHAOS_SEEDS": "10"}),
    ], r"\d+ seeds: .*"),
    "F27": ("8 writers at once: contiguous, and what each was told", "8 x 200", [
        # Commits alone; each reads the whole log, so that a long race is a matter of hours.
        (["--test", "storage", "delta::eight_racing"], {"PORTICO_RACE_ROUNDS": "20"}, {}),
        (["--test", "main", "durable::races::"], {"PORTICO_RACE_ROUNDS": "200"}, {"PORTICO_RACE_ROUNDS": "1"}),
    ], r"\w+: \d+ (?:commits, \d+ conflicts|releases by \d+ writers, \d+ refused)"),
    "F28": ("every operation of a release, a sweep, a withdrawal fails, loses its answer, is the last", "0 lost, 0 in half", [
        (["--test", "main", "durable::faults::"], {"PORTICO_FAULT_STEP": "1"}, {"PORTICO_FAULT_STEP": "9"}),
    ], r"\w+: \d+ operations in steps of \d+"),
    "F29": ("power cuts after every step of the storage's writing", "0 acknowledged lost", [
        (["--lib", "power::a_power_cut"], {}, {}),
    ], r"\d+ steps, \d+ power cuts, \d+ promises, 0 lost"),
}


@contextlib.contextmanager
def s3_server():
    """A server of object storage for the tests that want one, where none is named."""
    if "PORTICO_TEST_S3" in os.environ:
        yield
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen([str(pathlib.Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ["PORTICO_TEST_S3"] = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            with contextlib.suppress(requests.ConnectionError):
                requests.put(f"{os.environ['PORTICO_TEST_S3']}/portico", timeout=10)
                break
            time.sleep(0.1)
        yield
    finally:
        del os.environ["PORTICO_TEST_S3"]
        server.terminate()
        server.wait()


def killed(short, say):
    """F28: SIGKILL of releases and sweeps of the real binary."""
    kills = 6 if short else int(os.environ.get("PORTICO_KILLS", "1000"))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attack-durability-") as place:
        try:
            portal, wrong = kill_at_random(place, kills), None
        except AssertionError as error:
            portal, wrong = None, error
            say(f"  F28: {error}")
    good = wrong is None and portal.ready <= READY_S
    shown = str(wrong)[:200] if wrong else (
        f"0; {portal.completed} had been released, {portal.resumed} were resumed, {portal.swept} sweeps, "
        f"{portal.blocked} of them beside a lease that ran out later; ready in "
        f"{portal.ready:.1f} s at most")
    return Figure("F28", f"{kills} SIGKILLs of releases and sweeps: lost, half visible, unreadable",
                  f"0, ready in {READY_S} s", f"{shown} ({time.monotonic() - began:.0f} s)", good,
                  "tests/attack durability F28")


def killed_in_steps(short, say):
    """F28: SIGKILL of the server in every step that staff take over HTTP."""
    rounds = 1 if short else int(os.environ.get("PORTICO_STEP_ROUNDS", "80"))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attack-durability-") as place:
        try:
            town, wrong = kill_every_step(place, rounds), None
        except AssertionError as error:
            town, wrong = None, error
            say(f"  F28: {error}")
    good = wrong is None and town.ready <= READY_S
    shown = str(wrong)[:200] if wrong else (
        f"0 of {town.kills} kills; {town.done} steps had been done, {town.waited} were completed when a lease had run out; "
        f"ready in {town.ready:.1f} s at most")
    return Figure("F28", f"SIGKILL of the server in every step of {rounds} revisions, from their file to the purge of the one "
                  "before, and of a report each: lost, half public, not completed by the next try",
                  f"0, ready in {READY_S} s", f"{shown} ({time.monotonic() - began:.0f} s)", good,
                  "tests/attack durability F28")


class CarelessBucket(http.server.BaseHTTPRequestHandler):
    """As much of S3 as a self-test needs, without conditions: whoever writes last has written."""

    objects = {}

    def do_PUT(self):
        self.objects[self.path] = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(200, b"")

    def do_GET(self):
        place, _, query = self.path.partition("?")
        if "list-type=2" in query:
            prefix = urllib.parse.parse_qs(query).get("prefix", [""])[0]
            names = [path.removeprefix(f"{place}/") for path in self.objects]
            rows = "".join(f"<Contents><Key>{name}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                           for name in names if name.startswith(prefix))
            return self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())
        found = self.objects.get(self.path)
        self.answer(404 if found is None else 200, found or b"")

    do_HEAD = do_GET

    def do_POST(self):
        """Several are deleted at once."""
        for key in re.findall(r"<Key>(.*?)</Key>", self.rfile.read(int(self.headers["content-length"])).decode()):
            self.objects.pop(f"{self.path.split('?')[0]}/{key}", None)
        self.answer(200, b"<DeleteResult></DeleteResult>")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"1"')
        self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def careless(say):
    """F30: a bucket that ignores If-None-Match."""
    bucket = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CarelessBucket)
    threading.Thread(target=bucket.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="attack-durability-") as place:
        directory = pathlib.Path(place)
        (directory / "trees.csv").write_text("id,species\n1,oak\n")
        (directory / "portico.toml").write_text(
            f'[server]\nscratch = "{directory}/scratch"\n[storage]\nurl = "s3://bucket/portal"\n[storage.options]\n'
            f'endpoint = "http://127.0.0.1:{bucket.server_port}"\nregion = "us-east-1"\nallow_http = "true"\n'
            'access_key_id = "test"\nsecret_access_key = "test"\n'
            f'[catalog]\nurl = "sqlite://{directory}/catalog.sqlite"\n'
            '[publishing]\nrequire = ["steward"]\n')
        done = subprocess.run(
            [binary(), "publish", str(directory / "trees.csv"), "--dataset", "trees", "--steward-email",
             "steward@city.example", "--config", str(directory / "portico.toml")], capture_output=True, text=True, timeout=60)
    bucket.shutdown()
    good = done.returncode == 1 and "conditional create" in done.stderr and not CarelessBucket.objects
    if not good:
        say(done.stdout + done.stderr + str(list(CarelessBucket.objects)))
    return Figure("F30", "a release on a bucket that ignores If-None-Match", "refused, with the reason",
                  "refused: no conditional create" if good else f"ended with {done.returncode}", good,
                  "tests/attack durability F30")


def figures(short, chosen=(), say=print):
    """All of them, or those that are named."""
    found = []
    for name in [*TESTS, "F30"]:
        if chosen and name not in chosen:
            continue
        if name == "F30":
            found.append(careless(say))
        else:
            with s3_server() if name == "F27" else contextlib.nullcontext():
                found.append(measured(name, TESTS[name], short, say, f"tests/attack durability {name}"))
        if name == "F28":
            found += [killed(short, say), killed_in_steps(short, say)]
        say(f"  {name}: {found[-1].measured}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    found = figures(options.short, options.figures)
    for one in found:
        print(f"{one.name} | {one.what} | {one.target} | {one.measured} | {'pass' if one.passed else 'FAIL'} | {one.command}")
    return 0 if all(one.passed for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
