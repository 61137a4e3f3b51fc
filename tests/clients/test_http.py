"""curl and plain HTTP: downloads, ranges, conditional requests, SQL."""

import csv
import hashlib
import io
import base64
import json
import subprocess

import requests


def curl(*arguments, check=True):
    return subprocess.run(["curl", "-sS", "--fail", *arguments], capture_output=True, check=check)


def test_curl_resumes_an_interrupted_download(server, tmp_path):
    url = f"{server.url}/datasets/service-requests.csv?where=priority%20%3D%201&select=request_id,opened_at,priority"
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    curl("-o", str(whole), url)
    part.write_bytes(whole.read_bytes()[:100_000])
    curl("-C", "-", "-o", str(part), url)
    assert part.read_bytes() == whole.read_bytes()
    rows = list(csv.reader(io.StringIO(whole.read_text())))
    assert rows[0] == ["request_id", "opened_at", "priority"]
    assert len(rows) > 10_000 and all(row[2] == "1" for row in rows[1:])


def test_a_filtered_export_is_the_same_bytes_twice_and_its_tag_is_the_versions(server):
    def fetch(version):
        return requests.get(f"{server.url}/datasets/building-permits/versions/{version}.csv",
                            params={"where": "status = 'Issued'", "order": "declared_value desc", "limit": "500"})

    first, again, older = fetch(3), fetch(3), fetch(2)
    assert first.status_code == again.status_code == older.status_code == 200
    assert first.content == again.content
    assert first.headers["ETag"] == again.headers["ETag"] != older.headers["ETag"]
    assert first.headers["X-Portico-Version"] == "3"
    current = requests.get(f"{server.url}/datasets/building-permits.csv",
                           params={"where": "status = 'Issued'", "order": "declared_value desc", "limit": "500"})
    assert current.content == first.content
    unchanged = requests.get(first.url, headers={"If-None-Match": first.headers["ETag"]})
    assert unchanged.status_code == 304 and unchanged.content == b""


def test_a_whole_version_is_the_stored_file(server):
    manifest = requests.get(f"{server.url}/api/datasets/building-permits/versions/3").json()
    stored = manifest["manifest"]["files"] if "manifest" in manifest else manifest["files"]
    assert len(stored) == 1
    answer = requests.get(f"{server.url}/datasets/building-permits/versions/3.parquet")
    digest = hashlib.sha256(answer.content).hexdigest()
    assert digest == stored[0]["sha256"]
    expected = base64.b64encode(bytes.fromhex(digest)).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{expected}:"
    assert "immutable" in answer.headers["Cache-Control"]
    part = requests.get(f"{server.url}/datasets/building-permits/versions/3/parts/0.parquet")
    assert part.content == answer.content


def test_ranges_answer_as_rfc_9110_says(server):
    url = f"{server.url}/datasets/parks.csv"
    head = requests.head(url)
    whole = requests.get(url, headers={"Accept-Encoding": "identity"})
    size = len(whole.content)
    assert int(head.headers["Content-Length"]) == size
    assert head.headers["Accept-Ranges"] == "bytes"
    for asked, first, last in [("bytes=0-9", 0, 9), ("bytes=-7", size - 7, size - 1), (f"bytes=10-{size * 2}", 10, size - 1)]:
        part = requests.get(url, headers={"Range": asked})
        assert part.status_code == 206, asked
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first:last + 1]
    outside = requests.get(url, headers={"Range": f"bytes={size}-"})
    assert outside.status_code == 416 and outside.headers["Content-Range"] == f"bytes */{size}"
    stale = requests.get(url, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert stale.status_code == 200 and stale.content == whole.content


def test_every_format_of_a_dataset_has_all_rows(server):
    import gzip
    import pyarrow.ipc
    import pyarrow.parquet

    url = f"{server.url}/datasets/parks"
    rows = requests.post(f"{server.url}/sql", data="select count(*) from parks",
                         headers={"Content-Type": "application/sql"}).json()["rows"][0][0]
    text = requests.get(f"{url}.csv").text
    assert len(list(csv.reader(io.StringIO(text)))) == rows + 1
    assert gzip.decompress(requests.get(f"{url}.csv.gz").content).decode() == text
    assert len(requests.get(f"{url}.json").json()) == rows
    assert len(requests.get(f"{url}.ndjson").text.splitlines()) == rows
    assert len(requests.get(f"{url}.geojson").json()["features"]) == rows
    assert pyarrow.parquet.read_table(io.BytesIO(requests.get(f"{url}.parquet").content)).num_rows == rows
    assert pyarrow.ipc.open_stream(requests.get(f"{url}.arrow").content).read_all().num_rows == rows
    assert requests.get(f"{url}.xlsx").content[:2] == b"PK"


def test_a_query_names_its_versions_and_is_citable(server):
    answer = requests.get(f"{server.url}/sql", params={
        "q": "select status, count(*) as permits from building_permits group by status order by status"})
    assert answer.status_code == 200
    document = answer.json()
    assert document["versions"] == {"building_permits": 3}
    assert document["row_count"] == len(document["rows"])
    assert sum(row[1] for row in document["rows"]) == 6300
    cite = answer.links["cite-as"]["url"]
    assert requests.get(requests.compat.urljoin(server.url, cite)).json()["rows"] == document["rows"]
    unchanged = requests.get(answer.url, headers={"If-None-Match": answer.headers["ETag"]})
    assert unchanged.status_code == 304


def test_older_versions_answer_in_sql(server):
    def count(table):
        answer = requests.post(f"{server.url}/sql", json={"sql": f"select count(*) from {table}"})
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"][0][0]

    assert count("building_permits") == 6300
    assert count('"building_permits@1"') == 5400
    assert count("building_permits FOR VERSION AS OF 2") == 5900


def test_parameters_are_typed_and_never_spliced(server):
    answer = requests.post(f"{server.url}/sql", json={
        "sql": "select count(*) from building_permits where status = $1 and units >= $2", "params": ["Issued", 2]})
    assert answer.status_code == 200 and answer.json()["rows"][0][0] > 0
    hostile = requests.post(f"{server.url}/sql", json={
        "sql": "select count(*) from building_permits where status = $1", "params": ["x' or '1'='1"]})
    assert hostile.json()["rows"] == [[0]]
    named = requests.get(f"{server.url}/sql", params={
        "q": "select count(*) from building_permits where status = $status", "pstatus": "Issued"})
    assert named.status_code == 200, named.text


def test_problems_are_documents_that_say_what_to_do(server):
    cases = [
        ("select nothing from building_permits", 400, "unknown_column"),
        ("select * from secret_things", 404, "not_found"),
        ("delete from building_permits", 400, "statement_not_allowed"),
        ("select 1 +", 400, "invalid_sql"),
        ("select 1; select 2", 400, "statement_not_allowed"),
    ]
    for sql, status, code in cases:
        answer = requests.post(f"{server.url}/sql", data=sql, headers={"Content-Type": "text/plain"})
        assert answer.status_code == status, (sql, answer.text)
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        problem = answer.json()
        assert problem["type"].endswith(code), (sql, problem)
        assert problem["status"] == status and problem["detail"]


def test_the_blocked_column_was_never_released(server):
    columns = requests.get(f"{server.url}/api/datasets/restaurant-inspections").text
    assert "inspector_ssn" not in requests.get(f"{server.url}/datasets/restaurant-inspections.csv").text.splitlines()[0]
    refused = requests.post(f"{server.url}/sql", json={"sql": "select inspector_ssn from restaurant_inspections"})
    assert refused.status_code == 400
    assert json.loads(columns)["name"] == "restaurant-inspections"
    page = requests.get(f"{server.url}/datasets/restaurant-inspections").text
    assert "310-11-2000" not in page


def test_pages_and_documents_are_there(server):
    for path, kind in [("/", "text/html"), ("/datasets/parks", "text/html"), ("/openapi.json", "application/json"),
                       ("/api/datasets", "application/json"), ("/api/limits", "application/json"),
                       ("/healthz", ""), ("/readyz", ""), ("/robots.txt", "text/plain")]:
        answer = requests.get(server.url + path, headers={"Accept": "text/html, */*"})
        assert answer.status_code == 200, path
        assert answer.headers.get("Content-Type", "").startswith(kind), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
