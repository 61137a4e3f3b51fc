"""kill -9 of the server and of a release at random moments."""

import random
import subprocess
import time

import requests
from conftest import Server, binary, publish


def write_rows(path, rows, mark):
    with open(path, "w") as out:
        out.write("id_number,day,mark\n")
        for row in range(rows):
            out.write(f"{row},2024-01-{row % 28 + 1:02},{mark}\n")


def test_readers_see_the_old_or_the_new_version_whole(tmp_path):
    data, randomness = tmp_path / "portal", random.Random(7)
    write_rows(tmp_path / "v1.csv", 20_000, 1)
    began = time.monotonic()
    publish(data, tmp_path / "v1.csv", "steps")
    whole = time.monotonic() - began
    expected = 1
    for attempt in range(10):
        mark = attempt + 2
        write_rows(tmp_path / "next.csv", 20_000 + attempt, mark)
        arguments = ["publish", str(tmp_path / "next.csv"), "--dataset", "steps", "--data", str(data)]
        release = subprocess.Popen([binary(), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(randomness.uniform(0, whole * 1.1))
        release.kill()
        release.wait()
        version, rows, marks = look(data)
        assert version in {expected, expected + 1}
        if version == expected + 1:
            assert (rows, marks) == (20_000 + attempt, [mark])
        else:
            publish(data, tmp_path / "next.csv", "steps")
            assert look(data) == (expected + 1, 20_000 + attempt, [mark])
        expected += 1
    assert expected == 11


def look(data):
    server = Server(["serve", "--data", str(data), "--listen", "127.0.0.1:0"])
    try:
        answer = requests.post(f"{server.url}/sql", json={
            "sql": "select count(*), min(mark), max(mark) from steps"}).json()
        csv = requests.get(f"{server.url}/datasets/steps.csv").text.splitlines()
        rows, low, high = answer["rows"][0]
        assert low == high, "rows of two versions in one answer"
        assert len(csv) == rows + 1
        return answer["versions"]["steps"], rows, [low]
    finally:
        server.kill()


def test_sigterm_ends_in_order(tmp_path):
    write_rows(tmp_path / "v1.csv", 100, 1)
    publish(tmp_path / "portal", tmp_path / "v1.csv", "steps")
    server = Server(["serve", "--data", str(tmp_path / "portal"), "--listen", "127.0.0.1:0"])
    assert requests.get(f"{server.url}/healthz").status_code == 200
    assert server.stop() == 0
