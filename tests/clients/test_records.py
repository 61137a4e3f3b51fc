"""Withdrawals across processes, and the audit log checked by the few lines that the documentation gives."""

import hashlib
import json
import re
import time

import pytest
import requests
from conftest import ROOT, Server, publish, run

RECIPE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "records.md").read_text(), re.S).group(1)


def write_rows(path, rows):
    """Rows that no compression makes small, of letters alone: digits by chance look like somebody's account."""
    letters = str.maketrans("0123456789", "ghijklmnop")
    with open(path, "w") as out:
        out.write("tree_id,note\n")
        for row in range(rows):
            out.write(f"{row},{hashlib.sha256(str(row).encode()).hexdigest()[:40].translate(letters)}\n")


def test_the_recipe_checks_the_audit_log_and_finds_what_was_changed(tmp_path, monkeypatch):
    write_rows(tmp_path / "trees.csv", 10)
    publish(tmp_path / "portal", tmp_path / "trees.csv", "trees")
    exported = run("audit", "export", "--data", str(tmp_path / "portal")).stdout
    rows = [json.loads(line) for line in exported.splitlines()]
    assert len(rows) >= 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audit.ndjson").write_text(exported)
    exec(compile(RECIPE, "docs/records.md", "exec"), {})
    changed = [dict(row) for row in rows]
    changed[2]["hashed"] = changed[2]["hashed"].replace("t", "T", 1)
    for forged in (rows[1:], rows[:2] + rows[3:], changed):
        (tmp_path / "audit.ndjson").write_text("".join(json.dumps(row) + "\n" for row in forged))
        with pytest.raises(AssertionError):
            exec(compile(RECIPE, "docs/records.md", "exec"), {})


def test_a_withdrawal_by_one_process_cuts_the_downloads_of_another(tmp_path):
    data = str(tmp_path / "portal")
    write_rows(tmp_path / "trees.csv", 400_000)
    publish(data, tmp_path / "trees.csv", "trees")
    first, second = (Server(["serve", "--data", data, "--listen", "127.0.0.1:0"]) for _ in range(2))
    try:
        assert requests.get(f"{first.url}/datasets/trees.csv").status_code == 200
        streams = []
        for server in (first, second):
            for path in ("/datasets/trees.csv", "/datasets/trees.ndjson", "/datasets/trees.parquet"):
                answer = requests.get(server.url + path, stream=True)
                assert answer.status_code == 200
                pieces = answer.iter_content(65536)
                next(pieces)
                streams.append((path, pieces))
        run("dataset", "withdraw", "trees", "1", "--reason", "It named people.", "--data", data)
        # A server looks once a second; nobody reads on meanwhile, and what is on its way already is no more than buffers hold.
        time.sleep(1.5)
        for path, pieces in streams:
            with pytest.raises(requests.exceptions.RequestException):
                for _ in pieces:
                    pass
        for server in (first, second):
            for path in ("/datasets/trees.csv", "/datasets/trees/versions/1.parquet", "/datasets/trees",
                         "/sql?q=SELECT+*+FROM+%22trees%401%22", "/sql?q=SELECT+count(*)+FROM+trees"):
                gone = requests.get(server.url + path)
                assert gone.status_code == 410 and "It named people." in gone.text, path
        run("dataset", "purge", "trees", "1", "--reason", "It named people.", "--confirm", "trees@1", "--data", data)
        assert requests.get(f"{second.url}/datasets/trees.csv").status_code == 410
    finally:
        first.stop()
        second.stop()
