"""kill -9 of the server in the middle of every step that staff take: nothing is lost, nothing is public by half, and whoever
does the step again completes it.

`PORTICO_STEP_ROUNDS` is how many lives of a revision are lived, one by default, with a kill in each of its steps.
"""

import contextlib
import datetime
import os
import pathlib
import random
import re
import sqlite3
import threading
import time

import requests
from conftest import Server, run, wait_until
from test_crash import READY_S, write_rows

ROWS = 2_000
DATASET = "steps"
# How long before the time that was set a server dies at the earliest, in seconds.
EARLY_S = 0.3
# A failed try of a scheduled release is repeated soon; nobody waits a minute here. Nobody describes the columns.
CONFIG = """
[publishing]
require = ["steward", "license", "description"]
[limits.schedule]
retry_ms = 200
retry_max_ms = 200
"""


class Town:
    """A portal whose server dies in every step, and what is to be seen of it."""

    def __init__(self, directory, seed):
        self.data, self.file, config = directory / "portal", directory / "next.csv", directory / "portico.toml"
        config.write_text(CONFIG)
        self.reach = ["--config", str(config), "--data", str(self.data)]
        self.randomness = random.Random(seed)
        # Each step's time when nobody dies, in seconds.
        self.took = {}
        # Rows and mark of every version; the row of the audit log that was noted last.
        self.versions, self.noted, self.revision, self.year = {}, None, None, 2000
        self.kills, self.done, self.waited, self.ready = 0, 0, 0, 0.0
        self.tokens = {
            name: run("token", "create", name, "--role", role, "--everywhere", *self.reach).stdout.strip()
            for name, role in [("ana", "steward"), ("odette", "open-data"), ("cy", "cio")]}
        self.start()

    def start(self):
        began = time.monotonic()
        self.server = Server(["serve", *self.reach, "--listen", "127.0.0.1:0"])
        self.ready = max(self.ready, time.monotonic() - began)

    def ask(self, who, method, path, body=None, **more):
        """What the staff API answers; none when the server dies over it."""
        headers = {"authorization": f"Bearer {self.tokens[who]}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        try:
            return requests.request(method, f"{self.server.url}/api/staff/{path}", headers=headers, timeout=60, **more)
        except requests.RequestException:
            return None

    def see(self):
        """What staff and strangers see of the portal; asserts that nothing of it is there by half."""
        seen = {"revision": None, "recommended": None, "report": None, "purge": None}
        listed = self.ask("ana", "GET", f"datasets/{DATASET}/revisions")
        for revision in listed.json()["revisions"] if listed.status_code == 200 else []:
            if revision["file"]["name"] == f"{len(self.versions) + 1}.csv":
                assert seen["revision"] is None, "staged twice"
                seen["revision"], seen["recommended"] = revision["state"], revision.get("recommended_by")
        purges = self.ask("cy", "GET", f"datasets/{DATASET}/purges")
        for purge in purges.json()["purges"] if purges.status_code == 200 else []:
            if purge["version"] == len(self.versions) - 1:
                seen["purge"] = purge["state"]
        for report in self.ask("cy", "GET", "reports").json()["reports"]:
            if report["year"] == self.year:
                seen["report"] = "published" if report["published"] else "draft"
        seen["report_page"] = requests.get(f"{self.server.url}/reports/{self.year}").status_code
        seen["public"] = {number: self.look(number) for number in range(max(1, len(self.versions) - 1), len(self.versions) + 2)}
        current = requests.post(f"{self.server.url}/sql", json={
            "sql": f"select count(*), min(mark), max(mark) from {DATASET}"}).json()
        seen["current"] = (current["versions"][DATASET], *current["rows"][0]) if "rows" in current else None
        return seen

    def look(self, number):
        """What strangers get of one version by every road: all of it, or why not."""
        place = f"{self.server.url}/datasets/{DATASET}/versions/{number}"
        csv, described = requests.get(f"{place}.csv"), requests.get(f"{self.server.url}/api/datasets/{DATASET}/versions/{number}")
        asked = requests.post(f"{self.server.url}/sql", json={
            "sql": f'select count(*), min(mark), max(mark) from "{DATASET}@{number}"'})
        answers = {csv.status_code, described.status_code, asked.status_code}
        assert len(answers) == 1, f"version {number} is there by half: {answers}"
        if answers != {200}:
            return answers.pop()
        rows, low, high = asked.json()["rows"][0]
        assert low == high and len(csv.text.splitlines()) == rows + 1 and described.json()["rows"] == rows
        return rows, low

    def take(self, name, kill, change, call, between=()):
        """One step, which dies or does not, and is done again until it is done."""
        before = self.see()
        after = {**before, **change(before)}
        if kill:
            acknowledged = self.die_in(call, self.randomness.uniform(0, self.took[name] * 1.2))
            seen = self.see()
            known = [before, after, *({**before, **part} for part in between)]
            assert seen in known, f"{name}: {before} became {seen}, not {after}"
            assert not acknowledged or seen == after, f"{name}: {seen} was to be {after}"
            self.done += seen == after
        began = time.monotonic()
        answer = call()
        if answer is not None and answer.status_code == 409 and self.let_leases_run_out():
            self.waited += 1
            answer = call()
        assert answer is not None and answer.ok, f"{name}: {answer is not None and answer.text}"
        self.took.setdefault(name, time.monotonic() - began)
        seen = self.see()
        assert seen == after, f"{name}, again: {seen}, not {after}"
        self.verify()
        return answer.json()

    def die_in(self, call, seconds):
        """Whether a step was acknowledged by a server that is killed so many seconds into it."""
        answers = []
        asking = threading.Thread(target=lambda: answers.append(call()))
        asking.start()
        time.sleep(seconds)
        self.server.kill()
        asking.join()
        self.kills += 1
        self.start()
        return answers[0] is not None and answers[0].ok

    def verify(self):
        """The audit log holds, and what was noted of it before is still in it."""
        noted = ["--noted", self.noted] if self.noted else []
        verified = run("audit", "verify", *noted, *self.reach).stdout
        self.noted = re.search(r"note elsewhere: (\S+)", verified).group(1)

    def let_leases_run_out(self):
        """A killed purge keeps the dataset's files to itself until its lease runs out, a quarter of an hour later."""
        with contextlib.closing(sqlite3.connect(self.data / "catalog.sqlite")) as catalog, catalog:
            return catalog.execute("UPDATE lease SET expires_ms = 0 WHERE expires_ms > 0").rowcount

    def live(self, kill):
        """A revision from its file to the purge of the version before it, and the report of a year."""
        number = len(self.versions) + 1
        rows, mark = ROWS + number, number
        write_rows(self.file, rows, mark)
        content = self.file.read_bytes()
        path = (f"datasets/{DATASET}/revisions?file_name={number}.csv&title=Steps&description=Steps&license=CC0-1.0"
                "&steward_email=ana%40city.example")
        staged = self.take("stage", kill, lambda _: {"revision": "staged"}, lambda: self.ask(
            "odette", "POST", path, data=content, headers={"content-type": "application/octet-stream"}))
        place = f"revisions/{staged['id']}"
        step = lambda name, who, change, body=None, path=None: self.take(  # noqa: E731
            name, kill, lambda _: change, lambda: self.ask(who, "POST", f"{place}/{path or name}", body))
        digest = {"digest": step("screen", "odette", {"revision": "screened"})["digest"]}
        step("submit", "odette", {"revision": "in_review"})
        step("recommend", "ana", {"recommended": "ana"}, {"recommend": digest}, "review")
        step("approve", "cy", {"revision": "approved"}, digest)
        released = {"revision": "released", "current": (number, rows, mark, mark)}
        public = lambda before: {**released, "public": {**before["public"], number: (rows, mark)}}  # noqa: E731
        if number % 2 == 0:
            self.take("release", kill, public, lambda: self.ask("odette", "POST", f"{place}/release"))
        else:
            step("schedule", "odette", {"revision": "scheduled"}, {"release_at": self.moment(3600)})
            self.come_due(place, kill, public)
        self.versions[number] = (rows, mark)
        if number > 1:
            self.withdraw_and_purge(number - 1, kill)
        self.report(kill)

    @staticmethod
    def moment(seconds):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")

    def come_due(self, place, kill, public):
        """The clock's release: never early, and done by the next server if this one dies over it."""
        before = self.see()
        after = {**before, **public(before)}
        due = self.moment(2.5)
        assert self.ask("odette", "POST", f"{place}/schedule", {"release_at": due}).ok
        due_s = datetime.datetime.fromisoformat(due).timestamp()
        if kill:
            seconds = self.randomness.uniform(-EARLY_S, self.took["release"] * 1.2)
            time.sleep(max(0.0, due_s + seconds - time.time()))
            self.server.kill()
            self.kills += 1
            self.start()
        wait_until(lambda: self.see_between() == after, 30, f"the release that was due: {after}")
        number = after["current"][0]
        released = requests.get(f"{self.server.url}/api/datasets/{DATASET}/versions/{number}").json()["released"]
        assert datetime.datetime.fromisoformat(released).timestamp() >= due_s, f"{released} is before {due}"
        self.verify()

    def see_between(self):
        """What is seen while the server itself goes on: between two looks it may have done something."""
        with contextlib.suppress(AssertionError):
            return self.see()
        return {}

    def withdraw_and_purge(self, number, kill):
        place = f"datasets/{DATASET}/versions/{number}"
        gone = lambda before: {"public": {**before["public"], number: 410}}  # noqa: E731
        self.take("withdraw", kill, gone, lambda: self.ask("odette", "POST", f"{place}/withdraw", {"reason": "It was wrong."}))
        asked = {"reason": "It was wrong.", "confirm": f"{DATASET}@{number}"}
        self.take("ask", kill, lambda _: {"purge": "asked"}, lambda: self.ask("odette", "POST", f"{place}/purge", asked))
        self.take("confirm", kill, lambda _: {"purge": "purged"},
                  lambda: self.ask("cy", "POST", f"{place}/purge", asked), between=[{"purge": "confirmed"}])

    def report(self, kill):
        self.year += 1
        said = {"recommendations": "Publish more."}
        self.take("draft", kill, lambda _: {"report": "draft"},
                  lambda: self.ask("odette", "POST", f"reports/{self.year}/draft", said))
        self.take("publish", kill, lambda _: {"report": "published", "report_page": 200},
                  lambda: self.ask("cy", "POST", f"reports/{self.year}/publish", {}))

    def close(self):
        """The books at the end."""
        self.let_leases_run_out()
        self.server.stop()
        run("sweep", *self.reach)
        for command in [("scrub",), ("check",), ("audit", "verify", "--noted", self.noted)]:
            done = run(*command, *self.reach, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def kill_every_step(directory, rounds, seed=11):
    """So many lives, after two in which nobody dies; answers the town, whose figures say what came of them."""
    town = Town(pathlib.Path(directory), seed)
    try:
        for number in range(2 + rounds):
            town.live(kill=number >= 2)
        town.close()
    finally:
        town.server.kill()
    return town


def test_every_step_of_staff_is_done_whole_or_not_at_all(tmp_path):
    rounds = int(os.environ.get("PORTICO_STEP_ROUNDS", "1"))
    town = kill_every_step(tmp_path, rounds)
    assert town.kills >= 11 * rounds
    assert town.ready <= 10 * READY_S
