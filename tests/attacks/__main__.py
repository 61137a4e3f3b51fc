"""`tests/attack`: the attacks on the real binary, and the table of what was measured."""

import argparse
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from conftest import Server, binary

from attacks.target import Figure, Portal, limited_server

# What runs against the one portal, in this order.
TOGETHER = ["statements", "http_requests", "random_sql", "neighbours"]
# What makes its own portals.
ALONE = ["uploads", "edges", "containment", "durability"]


def options():
    parser = argparse.ArgumentParser(prog="tests/attack", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"of {', '.join([*TOGETHER, *ALONE, 'api'])}; all when absent")
    parser.add_argument("--short", action="store_true", help="the run of every change: minutes, not an hour")
    parser.add_argument("--minutes", type=float, default=3, help="how long neighbours are measured beside attackers")
    parser.add_argument("--statements", type=int, default=20_000, help="random statements to survive")
    parser.add_argument("--comparisons", type=int, default=5_000, help="random queries compared with other engines")
    parser.add_argument("--cases", type=int, default=5_000, help="requests made from the API document")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the largest table")
    parser.add_argument("--seed", type=int, default=7, help="where the random statements begin")
    return parser.parse_args()


def outside(name, options):
    """Files that are programs of their own: they say `F5 | what | target | measured | pass | command` for each figure."""
    file = pathlib.Path(__file__).parent / f"{name}.py"
    if not file.exists():
        return []
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", f"attacks.{name}", *(["--short"] if options.short else [])],
                          stdout=subprocess.PIPE, text=True, env={**os.environ, "PORTICO_BIN": binary()})
    print(done.stdout)
    found = []
    for line in done.stdout.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 5 and cells[4].lower() in {"pass", "fail", "ok"}:
            found.append(Figure(cells[0], cells[1], cells[2], cells[3], cells[4].lower() != "fail", f"tests/attack {name}"))
    if done.returncode != 0 or not found:
        found.append(Figure(name, "the whole file", "ends with 0", f"ended with {done.returncode} after "
                            f"{time.monotonic() - began:.0f} s", done.returncode == 0, f"tests/attack {name}"))
    return found


def api(portal, options):
    """F21: requests made from the API document."""
    cases = 300 if options.short else options.cases
    began = time.monotonic()
    document = importlib.import_module("json").loads(portal.request("GET", "/openapi.json").body)
    operations = sum(len([m for m in item if m in {"get", "head", "post", "delete", "put"}])
                     for item in document["paths"].values())
    each = max(2, 2 * cases // operations)
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "schemathesis"), "run", f"{portal.url}/openapi.json", "--checks",
         "not_a_server_error,status_code_conformance,content_type_conformance", "--max-examples", str(each), "--phases",
         "examples,coverage,fuzzing", "--workers", "1", "--request-timeout", "60", "--seed", str(options.seed)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = importlib.import_module("re").search(r"(\d[\d,]*) generated", done.stdout)
    generated = int(found.group(1).replace(",", "")) if found else 0
    if done.returncode != 0:
        print(done.stdout[-6000:])
    return [Figure("F21", "requests made from the API document: 5xx, undocumented statuses or types", f"0 of {cases:,}",
                   f"{'0' if done.returncode == 0 else 'some'} of {generated:,} ({time.monotonic() - began:.0f} s)",
                   done.returncode == 0 and generated >= cases and portal.alive(), "tests/attack api")]


def table(found):
    heads = ["figure", "what", "target", "measured", "", "command"]
    lines = [[one.name, one.what, one.target, one.measured, "pass" if one.passed else "FAIL", one.command] for one in found]
    widths = [max(len(line[column]) for line in [heads, *lines]) for column in range(len(heads))]
    for line in [heads, ["-" * width for width in widths], *lines]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def main():
    chosen = options()
    # The short form of durability is what the tests of the crates do every day.
    usual = [name for name in ALONE if not (chosen.short and name == "durability")]
    what = chosen.what or [*TOGETHER, "api", *usual]
    found = []
    with tempfile.TemporaryDirectory(prefix="attack-") as scratch:
        if any(name in [*TOGETHER, "api"] for name in what):
            found += with_portal(what, chosen, pathlib.Path(scratch))
        for name in ALONE:
            if name in what:
                print(f"== {name}", flush=True)
                found += own_or_outside(name, chosen)
    print()
    table(found)
    return 0 if all(one.passed for one in found) else 1


def own_or_outside(name, chosen):
    if name in {"uploads", "durability"}:
        return importlib.import_module(f"attacks.{name}").figures(chosen.short)
    return outside(name, chosen)


def with_portal(what, chosen, scratch):
    """The attacks on one portal: a city whose largest table has as many rows as asked."""
    city = pathlib.Path(os.environ["ATTACK_CITY"]) if "ATTACK_CITY" in os.environ else scratch / "city"
    rows = 60_000 if chosen.short else chosen.rows
    print(f"== the sample city ({binary()})", flush=True)
    if not city.exists():
        print(f"== making it, with {rows:,} service requests", flush=True)
        server = Server(["demo", "--listen", "127.0.0.1:0", "--data", str(city), "--rows", str(rows)], ready_s=1200)
        server.stop()
    random_sql = importlib.import_module("attacks.random_sql") if "random_sql" in what else None
    if random_sql:
        random_sql.publish_tables(city, scratch)
    found = []
    with limited_server(city, scratch) as server:
        portal = Portal(server.url, server.pid)
        for name in [*TOGETHER, "api"]:
            if name not in what or not portal.alive():
                continue
            print(f"== {name}", flush=True)
            match name:
                case "statements" | "http_requests":
                    figures, _ = importlib.import_module(f"attacks.{name}").figures(portal, chosen.short)
                case "neighbours":
                    figures = importlib.import_module("attacks.neighbours").figures(
                        portal, 0.25 if chosen.short else chosen.minutes, chosen.short)
                case "random_sql":
                    figures = random_sql.figures(
                        portal, scratch, 150 if chosen.short else chosen.statements,
                        100 if chosen.short else chosen.comparisons, chosen.seed)
                case _:
                    figures = api(portal, chosen)
            found += figures
        found.append(Figure("F1", "the server's process through all of it", "the same", "the same" if portal.alive() else
                            "it ended", portal.alive(), "tests/attack"))
    return found


if __name__ == "__main__":
    sys.exit(main())
