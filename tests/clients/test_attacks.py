"""Statements that would end a server which runs them in its own process."""

import os
import re
import signal
import threading
import time

import hygiene
import psutil
import pyarrow.flight as flight
import pytest
import requests
from conftest import wait_until

DOUBLING = "with " + ", ".join(
    ["c0 as (select 1 as x)"] + [f"c{i} as (select a.x from c{i-1} a, c{i-1} b)" for i in range(1, 24)]
) + " select count(*) from c23"
ATTACKS = {
    "repeat": ("select repeat('x', 2000000000)", {400, 422}),
    "sum_of_20000_terms": ("select " + "+".join(["1"] * 20_000), {400, 413, 422}),
    "doubling_ctes": (DOUBLING, {422}),
    "cross_join": ("select count(*) from service_requests a, service_requests b, service_requests c "
                   "where a.priority + b.priority + c.priority < 0", {422}),
}


def probe(url, stop, slowest):
    while not stop.is_set():
        began = time.monotonic()
        answer = requests.get(f"{url}/sql", params={"q": "select count(*) from parks"}, timeout=60)
        assert answer.status_code == 200, answer.text
        slowest.append(time.monotonic() - began)
        time.sleep(0.2)


@pytest.fixture
def probed(server):
    """Asks a small question again and again while the test runs."""
    stop, times = threading.Event(), []
    failures = []

    def watch():
        try:
            probe(server.url, stop, times)
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    yield times
    stop.set()
    thread.join()
    assert not failures, failures
    assert times


@pytest.mark.parametrize("attack", ATTACKS)
def test_http_ends_in_a_problem_and_the_server_stays(server, probed, attack):
    sql, statuses = ATTACKS[attack]
    began = time.monotonic()
    answer = requests.post(f"{server.url}/sql", data=sql, headers={"Content-Type": "application/sql"}, timeout=60)
    assert answer.status_code in statuses, answer.text[:500]
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert time.monotonic() - began < 35
    assert server.alive() and psutil.pid_exists(server.pid)


@pytest.mark.parametrize("attack", ATTACKS)
def test_flight_ends_in_a_status_and_the_server_stays(server, probed, attack):
    sql, _ = ATTACKS[attack]
    client = flight.connect(server.grpc)
    began = time.monotonic()
    with pytest.raises(Exception) as caught:
        client.do_get(flight.Ticket(sql.encode())).read_all()
    assert time.monotonic() - began < 35
    # The client's library adds words of its own behind the server's.
    hygiene.check(re.split(r"\. (?:gRPC client debug context|Client context):|\. Detail:", str(caught.value))[0])
    assert server.alive()


def workers(server):
    return [child for child in psutil.Process(server.pid).children() if "worker" in child.cmdline()]


def test_killing_a_worker_hurts_nobody_else(server):
    slow = ("select count(*) from service_requests a join service_requests b on a.priority = b.priority "
            "where a.latitude + b.longitude < -200")
    outcomes = {}

    def ask(name, sql):
        outcomes[name] = requests.post(f"{server.url}/sql", json={"sql": sql, "limits": {"timeout_ms": 8000}}, timeout=90)

    before = {worker.pid: worker.cpu_times().user for worker in workers(server)}
    victim = threading.Thread(target=ask, args=("victim", slow))
    victim.start()

    def busy():
        found = [worker for worker in workers(server)
                 if worker.is_running() and worker.cpu_times().user - before.get(worker.pid, 0) > 0.5]
        return found

    wait_until(busy, 20, "a worker works on the slow question")
    os.kill(busy()[0].pid, signal.SIGKILL)
    ask("neighbour", "select count(*) from parks")
    assert outcomes["neighbour"].status_code == 200
    victim.join()
    # Retried once since it had not sent a byte, or told clearly: never a broken answer that looks whole.
    assert outcomes["victim"].status_code in {200, 422, 503}
    ask("next", "select count(*) from bus_stops")
    assert outcomes["next"].json()["rows"] == [[860]]
    assert server.alive()
