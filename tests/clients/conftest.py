"""Real clients against the real binary over its real port.

One server, the demo city, serves the whole session; tests that need their own portal start one with `start`.
The binary is the one in PORTICO_BIN, or the debug build of this checkout.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import hygiene
import pytest
import requests

hygiene.check_answers(requests)

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The configuration of a portal that takes tables whose columns nobody describes.
RELAXED = ROOT / "tests" / "clients" / "relaxed.toml"

# What a release needs to be said of it besides.
SAID = ["--steward-email", "steward@city.example", "--license", "CC0-1.0", "--description", "What the city knows."]


def binary() -> str:
    """The program under test."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    path = os.environ.get("PORTICO_BIN", f"{target}/debug/portico")
    if not pathlib.Path(path).exists():
        pytest.exit(f"{path} is not there: run `cargo build` first, or name a binary in PORTICO_BIN", 2)
    return path


def corpus() -> pathlib.Path:
    """The directory of real public files, where there is one."""
    path = os.environ.get("PORTICO_CORPUS")
    if not path:
        pytest.skip("PORTICO_CORPUS is not set: the corpus of real files is not here")
    return pathlib.Path(path).resolve()


class Server:
    """A running `portico serve` or `portico demo`."""

    def __init__(self, arguments, ready_s=180, **environment):
        self.process = subprocess.Popen(
            [binary(), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("PORTICO_TEST_LOG") else None,
            text=True,
            env={**os.environ, **environment},
        )
        self.pid = self.process.pid
        self.lines = []
        self.url = None
        ready = threading.Event()

        def read():
            for line in self.process.stdout:
                self.lines.append(line)
                found = re.match(r"portico ready (http\S+)", line)
                if found:
                    self.url = found.group(1)
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(ready_s) or self.url is None:
            self.kill()
            raise AssertionError("the server did not get ready:\n" + "".join(self.lines))
        self.host = self.url.removeprefix("http://")
        self.grpc = f"grpc://{self.host}"

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self):
        self.process.kill()
        self.process.wait()


def run(*arguments, check=True, timeout=300):
    """One command of the program, to its end."""
    done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"portico {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def publish(data, source, name, *more, check=True):
    """The whole road in, for one file."""
    return run("publish", str(source), "--dataset", name, *SAID, "--config", str(RELAXED), "--data", str(data), *more,
               check=check)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The demo city."""
    data = tmp_path_factory.mktemp("city")
    server = Server(["demo", "--listen", "127.0.0.1:0", "--data", str(data)])
    server.data = data
    yield server
    assert server.alive(), "the server died during the tests"
    assert server.stop() == 0


@pytest.fixture
def start():
    """Starts servers that end with the test."""
    started = []

    def start(*arguments, **keywords):
        started.append(Server(arguments, **keywords))
        return started[-1]

    yield start
    for server in started:
        if server.alive():
            server.kill()


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory):
    """A directory with the JavaScript clients installed; skips where Node is not."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    directory = tmp_path_factory.mktemp("node")
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "apache-arrow@21.2.0"], cwd=directory,
                   check=True, timeout=300)
    return directory


def wait_until(true, seconds, what):
    """Waits for a state, not for an event."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")
