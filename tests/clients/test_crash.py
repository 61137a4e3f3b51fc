"""kill -9 of a release and of a sweep at random moments: what was acknowledged is there, whole, as soon as a server is.

`PORTICO_KILLS` is how many of them, ten by default; a thousand take some twenty minutes on an optimised build.
"""

import contextlib
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import time

import requests
from conftest import RELAXED, Server, binary, publish, run

ROWS = 20_000
# How long a server that starts after a kill may take until it answers, in seconds.
READY_S = 2


def write_rows(path, rows, mark):
    with open(path, "w") as out:
        out.write("id_number,day,mark\n")
        for row in range(rows):
            out.write(f"{row},2024-01-{row % 28 + 1:02},{mark}\n")


class Portal:
    """A portal whose releases and sweeps die, and what it is to answer."""

    def __init__(self, directory, seed):
        self.data, self.file = directory / "portal", directory / "next.csv"
        self.randomness = random.Random(seed)
        # The current version, its rows and the mark that all of them have.
        self.current = (0, 0, 0)
        self.ready, self.completed, self.resumed, self.swept, self.blocked = 0.0, 0, 0, 0, 0
        began = time.monotonic()
        self.propose()
        publish(self.data, self.file, "steps")
        self.release_s, self.current = time.monotonic() - began, self.next
        began = time.monotonic()
        run("sweep", "--data", str(self.data))
        self.sweep_s = time.monotonic() - began

    def propose(self):
        """A file that tells itself apart from those before by rows and mark."""
        version = self.current[0] + 1
        self.next = (version, ROWS + version, version)
        write_rows(self.file, *self.next[1:])

    def kill(self, arguments, seconds):
        process = subprocess.Popen([binary(), *arguments, "--config", str(RELAXED), "--data", str(self.data)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        return process.wait() == 0

    def release(self):
        """A release that is killed: public as a whole or not at all; whoever does it again completes it."""
        self.propose()
        # Every other time late, when the catalog and the files that are public change.
        early = self.randomness.choice([0, 0.6]) * self.release_s
        acknowledged = self.kill(["publish", str(self.file), "--dataset", "steps"],
                                 self.randomness.uniform(early, self.release_s * 1.1))
        seen = self.look()
        assert seen in ([self.next] if acknowledged else [self.current, self.next])
        self.completed += seen == self.next
        if seen == self.current:
            self.complete()
            assert self.look() == self.next
        self.current = self.next

    def complete(self):
        """As the documentation says: a revision that is approved is released, anything else is brought in again."""
        listed = run("revision", "list", "steps", "--data", str(self.data)).stdout
        approved = [line for line in listed.splitlines() if "approved" in line]
        if approved:
            self.resumed += 1
            run("revision", "release", re.search(r"[0-9A-Z]{26}", approved[-1]).group(0), "--config", str(RELAXED),
                "--data", str(self.data))
        else:
            publish(self.data, self.file, "steps")

    def sweep(self):
        """A sweep that is killed, of leftovers two days old."""
        old = time.time() - 2 * 86_400
        for path in (self.data / "storage").rglob("*"):
            if path.is_file():
                os.utime(path, (old, old))
        self.kill(["sweep"], self.randomness.uniform(0, self.sweep_s * 1.1))
        assert self.look() == self.current
        self.swept += 1
        self.blocked += self.let_leases_run_out()

    def let_leases_run_out(self):
        """A killed sweep keeps releases of the dataset waiting until its lease runs out, a quarter of an hour later."""
        with contextlib.closing(sqlite3.connect(self.data / "catalog.sqlite")) as catalog, catalog:
            late = (time.time() + 15 * 60) * 1000
            return catalog.execute("UPDATE lease SET expires_ms = 0 WHERE expires_ms > 0 AND expires_ms <= ?", (late,)).rowcount

    def look(self):
        began = time.monotonic()
        server = Server(["serve", "--data", str(self.data), "--listen", "127.0.0.1:0"])
        self.ready = max(self.ready, time.monotonic() - began)
        try:
            answer = requests.post(f"{server.url}/sql", json={
                "sql": "select count(*), min(mark), max(mark) from steps"}).json()
            csv = requests.get(f"{server.url}/datasets/steps.csv").text.splitlines()
            rows, low, high = answer["rows"][0]
            assert low == high, "rows of two versions in one answer"
            assert len(csv) == rows + 1
            return answer["versions"]["steps"], rows, low
        finally:
            server.kill()


def kill_at_random(directory, kills, seed=7):
    """So many kills; answers the portal, whose figures say what came of them."""
    portal = Portal(pathlib.Path(directory), seed)
    for _ in range(kills):
        if portal.randomness.random() < 0.2:
            portal.sweep()
        else:
            portal.release()
    run("sweep", "--data", str(portal.data))
    scrubbed = run("scrub", "--data", str(portal.data), check=False)
    assert scrubbed.returncode == 0, scrubbed.stdout
    assert portal.look() == portal.current
    return portal


def test_readers_see_the_old_or_the_new_version_whole(tmp_path):
    kills = int(os.environ.get("PORTICO_KILLS", "10"))
    portal = kill_at_random(tmp_path, kills)
    assert portal.current[0] == 1 + kills - portal.swept


def test_sigterm_ends_in_order(tmp_path):
    write_rows(tmp_path / "v1.csv", 100, 1)
    publish(tmp_path / "portal", tmp_path / "v1.csv", "steps")
    server = Server(["serve", "--data", str(tmp_path / "portal"), "--listen", "127.0.0.1:0"])
    assert requests.get(f"{server.url}/healthz").status_code == 200
    assert server.stop() == 0
