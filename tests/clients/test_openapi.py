"""The API document, and strangers' requests made from it."""

import os
import pathlib
import re
import subprocess
import sys

import requests

from conftest import run


def test_the_document_is_valid_openapi(server):
    from openapi_spec_validator import validate

    validate(requests.get(f"{server.url}/openapi.json").json())


def test_a_thousand_requests_and_no_server_error(server, tmp_path):
    cases = int(os.environ.get("PORTICO_API_CASES", "1000"))
    document = requests.get(f"{server.url}/openapi.json").json()
    operations = sum(len([m for m in item if m in {"get", "head", "post", "delete", "put"}])
                     for item in document["paths"].values())
    each = max(2, 2 * cases // operations)
    schemathesis = pathlib.Path(sys.executable).parent / "schemathesis"
    report = tmp_path / "report.txt"
    with report.open("w") as out:
        done = subprocess.run(
            [str(schemathesis), "run", f"{server.url}/openapi.json", "--checks", "not_a_server_error",
             "--max-examples", str(each), "--phases", "examples,coverage,fuzzing", "--workers", "1",
             "--request-timeout", "60", "--seed", "7"],
            stdout=out, stderr=subprocess.STDOUT, timeout=1500)
    text = report.read_text()
    print(text[-3000:])
    assert done.returncode == 0, text[-6000:]
    generated = re.search(r"(\d[\d,]*) generated", text)
    assert generated and int(generated.group(1).replace(",", "")) >= cases, text[-2000:]
    assert server.alive()


def test_requests_of_staff_and_no_server_error(start, tmp_path):
    server = start("serve", "--data", str(tmp_path / "portal"), "--listen", "127.0.0.1:0")
    roles = [word for role in ["steward", "open-data", "cio", "admin"] for word in ["--role", role]]
    token = run("token", "create", "all", *roles, "--everywhere", "--data", str(tmp_path / "portal")).stdout.strip()
    schemathesis = pathlib.Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [str(schemathesis), "run", f"{server.url}/openapi.json", "--checks", "not_a_server_error",
         "--include-path-regex", "^/api/staff", "--header", f"Authorization: Bearer {token}", "--max-examples", "20",
         "--phases", "examples,coverage,fuzzing", "--workers", "1", "--request-timeout", "60", "--seed", "7"],
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:]
    assert server.alive()
