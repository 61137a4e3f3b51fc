"""`tests/attack`: the attacks on the real binary, and the table of what was measured."""

import argparse
import importlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from conftest import Server, binary

from attacks.target import Figure, Portal, limited_server

# What runs against the one portal, in this order.
TOGETHER = ["statements", "http_requests", "random_sql", "neighbours"]
# What makes its own portals.
ALONE = ["uploads", "edges", "containment", "durability", "inside"]
# The words that name a figure: some of one file can be chosen, `durability F13 F28`.
CHOSEN = r"[FS]\d+"


def options():
    parser = argparse.ArgumentParser(prog="tests/attack", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"of {', '.join([*TOGETHER, *ALONE, 'api'])}; all when absent. "
                        "Figures after one of the last four choose among its own")
    parser.add_argument("--short", action="store_true", help="the run of every change: minutes, not an hour")
    parser.add_argument("--minutes", type=float, default=3, help="how long neighbours are measured beside attackers")
    parser.add_argument("--statements", type=int, default=20_000, help="random statements to survive")
    parser.add_argument("--comparisons", type=int, default=5_000, help="random queries compared with other engines")
    parser.add_argument("--cases", type=int, default=5_000, help="requests made from the API document")
    parser.add_argument("--fuzz-seconds", type=int, default=60, help="how long each fuzz target runs")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the largest table")
    parser.add_argument("--seed", type=int, default=7, help="where the requests made from the API document begin")
    parser.add_argument("--seeds", type=int, nargs="+", default=random_seeds(), help="what the random statements are made from")
    parser.add_argument("--again", help="one random statement, by the words its failure was printed with: \"compare 3 218\"")
    return parser.parse_args()


def random_seeds():
    """The first numbers there are: none of them was picked by what it finds."""
    return [1, 2, 3, 4, 5]


def outside(name, options, names):
    """Files that are programs of their own: they say `F5 | what | target | measured | pass | command` for each figure."""
    began = time.monotonic()
    found = []
    with subprocess.Popen([sys.executable, "-u", "-m", f"attacks.{name}", *(["--short"] if options.short else []), *names],
                          stdout=subprocess.PIPE, text=True, env={**os.environ, "PORTICO_BIN": binary()}) as done:
        # Told as it is measured: a run that somebody stops has told what it knew.
        for line in done.stdout:
            print(line, end="", flush=True)
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) >= 5 and cells[4].lower() in {"pass", "fail", "ok"}:
                found.append(Figure(cells[0], cells[1], cells[2], cells[3], cells[4].lower() != "fail", f"tests/attack {name}"))
    if done.returncode != 0 or not found:
        found.append(Figure(name, "the whole file", "ends with 0", f"ended with {done.returncode} after "
                            f"{time.monotonic() - began:.0f} s", done.returncode == 0, f"tests/attack {name}"))
    return found


def table(found):
    heads = ["figure", "what", "target", "measured", "", "command"]
    lines = [[one.name, one.what, one.target, one.measured, "pass" if one.passed else "FAIL", one.command] for one in found]
    widths = [max(len(line[column]) for line in [heads, *lines]) for column in range(len(heads))]
    for line in [heads, ["-" * width for width in widths], *lines]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def main():
    chosen = options()
    # The short form of the last two is what the tests of the crates do every day.
    usual = [name for name in ALONE if not (chosen.short and name in {"durability", "inside"})]
    names = [word for word in chosen.what if re.fullmatch(CHOSEN, word)]
    what = [word for word in chosen.what if word not in names] or [*TOGETHER, "api", *usual]
    found = []
    with tempfile.TemporaryDirectory(prefix="attack-") as scratch:
        if any(name in [*TOGETHER, "api"] for name in what):
            found += with_portal(what, chosen, pathlib.Path(scratch))
        for name in ALONE:
            if name in what:
                print(f"== {name}", flush=True)
                found += own_or_outside(name, chosen, names)
    print()
    table(found)
    return 0 if all(one.passed for one in found) else 1


def own_or_outside(name, chosen, names):
    module = importlib.import_module(f"attacks.{name}")
    match name:
        case "uploads":
            return module.figures(chosen.short)
        case "durability":
            return module.figures(chosen.short, names)
        case "inside":
            return module.figures(chosen.short, chosen.fuzz_seconds, names)
        case _:
            return outside(name, chosen, names)


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
                    figures = random_sql.once_more(portal, chosen.again) if chosen.again else random_sql.figures(
                        portal, scratch, 180 if chosen.short else chosen.statements,
                        120 if chosen.short else chosen.comparisons, chosen.seeds[:3] if chosen.short else chosen.seeds)
                case _:
                    figures = importlib.import_module("attacks.api").figures(
                        portal, 300 if chosen.short else chosen.cases, chosen.seed)
            for figure in figures:
                print(f"  {figure.name}: {figure.measured}", flush=True)
                found.append(figure)
        found.append(Figure("F1", "the server's process through all of it", "the same", "the same" if portal.alive() else
                            "it ended", portal.alive(), "tests/attack"))
    return found


if __name__ == "__main__":
    sys.exit(main())
