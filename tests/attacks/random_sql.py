"""Random SQL: does the server survive it (F16), and are the answers right (F17)?

Statements are made from a grammar over three small tables with nulls, negatives, decimals, dates, booleans and text.
The comparable part of the grammar is asked of DuckDB and, where its dialect has the words, of SQLite; besides, a
question and its parts must agree (ternary logic partitioning: rows where p, where not p and where p is null make all
rows; and count(*) where p is the sum of p over all rows).

Everything is seeded: each failure is printed with the words that make its statement again, such as
`compare 3 218`, and `tests/attack random_sql --again "compare 3 218"` sends that one alone. Seeds are 1, 2, 3 … and are
not picked by what they find.

Differences that are allowed, and therefore kept out of what is compared or evened out:
- division of integers: `/` truncates here and in SQLite, DuckDB writes it `//`; by zero it is an error here and null
  there, so that divisors are `nullif(…, 0)`;
- order of nulls: always said (`NULLS LAST`);
- order of -0.0 and 0.0: they are equal, but ORDER BY puts the negative one first here; no column of floats is ordered by;
- division of decimals keeps four more digits than the dividend here and is a float in DuckDB: not compared;
- a LATERAL query may compare a column from outside with = only, and is refused where its condition is false by itself; EXCEPT ALL and INTERSECT ALL are refused;
- ceil() and floor() of decimals are whole numbers of the same value in any type;
- order of rows: answers are compared as bags; LIMIT stands only where every column is in ORDER BY;
- numbers: compared as numbers, to nine digits: sums of decimals, averages and floats have other types elsewhere (an
  average of decimals has four more digits here and is a float there);
- a date plus an interval is a date or a timestamp at midnight;
- date_trunc() compared with a date: DuckDB says that null differs from a date that is no beginning of a month;
- a number with a point is a float here and a decimal in DuckDB: decimals are cast from text;
- sign() is signum() here, and a float;
- SQLite has no booleans (0 and 1), dates or decimals, and upper() knows ASCII only: it sees neither;
- casts of decimals and floats to integers round or truncate by the system: not compared.
"""

import collections
import concurrent.futures
import dataclasses
import datetime
import decimal
import itertools
import math
import random
import re
import sqlite3
import time
import tomllib

import duckdb
from conftest import ROOT, publish

from attacks.target import PROBLEMS, Figure, Probe, leaks

TEXTS = ["ab", "Ab", "b c", "zz", "über", "a_b", "100%", "x'y", "abc", "  pad ", "Z", "-5", None, "日本", "a"]
COLUMNS = [("id", "i"), ("a", "i"), ("b", "i"), ("d", "d"), ("x", "t"), ("y", "t"), ("f", "b"), ("day", "y"),
           ("r", "r")]
SQL_TYPES = {"i": "bigint", "d": "decimal(8,2)", "t": "varchar", "b": "boolean", "y": "date", "r": "double"}
TABLES = {"rnd_small": 12, "rnd_middle": 40, "rnd_large": 150}


def table_rows(name):
    """The rows of a table: the same in every run."""
    chance = random.Random(name)
    def maybe(value, part=0.15):
        return None if chance.random() < part else value
    return [(
        number, maybe(chance.randint(-9, 9)), maybe(chance.randint(-1000, 1000)),
        maybe((decimal.Decimal(chance.randint(-99999, 99999)) / 100).quantize(decimal.Decimal("0.01"))), chance.choice(TEXTS), maybe(chance.choice("abcde") * 2),
        maybe(chance.random() < 0.5), maybe(datetime.date(2023, 12, 20) + datetime.timedelta(chance.randint(0, 100))),
        maybe(chance.randint(-4000, 4000) / 16),
    ) for number in range(1, TABLES[name] + 1)]


def publish_tables(city, scratch):
    """Releases the tables into a portal's data, if they are not there yet."""
    import csv

    for name in TABLES:
        file = scratch / f"{name}.csv"
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow([column for column, _ in COLUMNS])
            for row in table_rows(name):
                writer.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in row])
        schema = scratch / f"{name}.json"
        # "any": the digits make it an exact decimal.
        kinds = {"i": "integer", "d": "any", "t": "string", "b": "boolean", "y": "date", "r": "number"}
        schema.write_text('{"fields": [' + ", ".join(f'{{"name": "{column}", "type": "{kinds[kind]}"}}'
                                                      for column, kind in COLUMNS) + "]}")
        publish(city, file, name.replace("_", "-"), "--schema", str(schema))


# Making statements. A piece of SQL is text, a list of pieces, or a dictionary that spells one for each system.

def render(piece, system):
    if isinstance(piece, str):
        return piece
    if isinstance(piece, dict):
        return render(piece.get(system, piece["portico"]), system)
    return "".join(render(part, system) for part in piece)


@dataclasses.dataclass
class Select:
    """One SELECT, in parts that can be left out to make it smaller."""

    items: list
    tables: list
    where: list = dataclasses.field(default_factory=list)
    group: list = dataclasses.field(default_factory=list)
    grouping: str = ""
    # Of GROUPING SETS: the items of `group` in each.
    sets: list = dataclasses.field(default_factory=list)
    having: object = None
    qualify: object = None
    distinct: bool = False
    limit: int | None = None
    before: list = dataclasses.field(default_factory=list)
    after: list = dataclasses.field(default_factory=list)

    def pieces(self):
        items = [[item, f" as c{index}"] for index, item in enumerate(self.items)]
        out = [*self.before, "select ", "distinct " if self.distinct else "", *joined(items), " from ", *self.tables]
        if self.where:
            out += [" where ", *joined(self.where, " and ")]
        if self.group:
            listed = joined(self.group)
            if self.sets:
                listed = joined([["(", *joined([self.group[int(n)] for n in "01" if n in one and int(n) < len(self.group)]), ")"]
                                 for one in self.sets])
            out += [" group by ", self.grouping + "(" if self.grouping else "", *listed, ")" if self.grouping else ""]
        if self.having is not None:
            out += [" having ", self.having]
        if self.qualify is not None:
            out += [" qualify ", self.qualify]
        out += self.after
        if self.limit is not None:
            out += [" order by ", ", ".join(f"{i + 1} nulls last" for i in range(len(self.items))), f" limit {self.limit}"]
        return out

    def smaller(self):
        """The same with one part less."""
        for index in range(len(self.items)):
            if len(self.items) > 1 and not self.after and not self.before:
                yield dataclasses.replace(self, items=self.items[:index] + self.items[index + 1:])
        for index in range(len(self.where)):
            yield dataclasses.replace(self, where=self.where[:index] + self.where[index + 1:])
        if self.having is not None:
            yield dataclasses.replace(self, having=None)
        if self.qualify is not None:
            yield dataclasses.replace(self, qualify=None)
        if self.limit is not None:
            yield dataclasses.replace(self, limit=None)
        if self.distinct:
            yield dataclasses.replace(self, distinct=False)
        if self.after and self.after[0].startswith((" union", " except", " intersect")):
            yield dataclasses.replace(self, after=[])


def joined(pieces, between=", "):
    out = []
    for index, piece in enumerate(pieces):
        out += ([between] if index else []) + [piece]
    return out


class Maker:
    """Makes one statement from one number."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.sqlite = True
        self.aliases = []
        # The kinds of columns and literals that it names.
        self.kinds = set()

    def pick(self, *choices):
        return self.chance.choice(choices)()

    def only_duckdb(self, piece):
        self.sqlite = False
        return piece

    def column(self, kind):
        alias = self.chance.choice(self.aliases)
        name = self.chance.choice([name for name, of in COLUMNS if of == kind])
        if name in {"d", "day"}:
            self.sqlite = False
        return f"{alias}.{name}"

    def expression(self, kind, depth=2):
        self.kinds.add(kind)
        if depth <= 0 or self.chance.random() < 0.2:
            return self.column(kind) if self.chance.random() < 0.75 else self.literal(kind)
        return {"i": self.integer, "d": self.exact, "t": self.text, "b": self.truth, "y": self.day,
                "r": self.real}[kind](depth - 1)

    def literal(self, kind):
        match kind:
            case "i": return str(self.chance.randint(0, 9))
            case "d": return self.only_duckdb(f"cast('{self.chance.randint(0, 99)}.{self.chance.randint(10, 99)}' as decimal(4,2))")
            case "t": return "'" + (self.chance.choice([t for t in TEXTS if t]).replace("'", "''")) + "'"
            case "b": return self.chance.choice(["true", "false"])
            # Sixteenths: their sums and products are exact in any order.
            case "r": return f"cast('{self.chance.randint(-80, 80) / 16}' as double)"
            case _: return self.only_duckdb(f"date '2024-0{self.chance.randint(1, 3)}-1{self.chance.randint(0, 9)}'")

    def case(self, kind, d):
        return ["case when ", self.expression("b", d), " then ", self.expression(kind, d), " else ", self.expression(kind, d), " end"]

    def shared(self, kind, d):
        """What every type has."""
        return self.pick(
            lambda: self.case(kind, d), lambda: ["coalesce(", self.expression(kind, d), ", ", self.expression(kind, d), ")"],
            lambda: ["nullif(", self.expression(kind, d), ", ", self.expression(kind, d), ")"])

    def integer(self, d):
        e = lambda kind="i": self.expression(kind, d)  # noqa: E731 - the grammar reads better so
        return self.pick(
            lambda: ["(", e(), self.chance.choice([" + ", " - "]), e(), ")"], lambda: ["(", e(), f" * {self.chance.randint(2, 4)})"],
            lambda: ["(-(", e(), "))"], lambda: ["abs(", e(), ")"],
            lambda: ["(", e(), {"portico": " / ", "duckdb": " // "}, "nullif(", e(), ", 0))"],
            lambda: ["(", e(), " % nullif(", e(), ", 0))"], lambda: ["length(", e("t"), ")"],
            lambda: self.only_duckdb(["greatest(", e(), ", ", e(), ")"]), lambda: self.only_duckdb(["least(", e(), ", ", e(), ")"]),
            lambda: self.only_duckdb(["extract(", self.chance.choice(["year", "month", "day", "quarter", "doy", "dow"]), " from ", e("y"), ")"]),
            lambda: {"portico": (found := ["strpos(", e("t"), ", 'b')"]), "sqlite": ["instr(", *found[1:]]},
            lambda: ["cast(", e("b"), " as int)"], lambda: self.only_duckdb([{"portico": "cast(signum(", "duckdb": "cast(sign("}, e(), ") as bigint)"]),
            lambda: self.subquery("i"), lambda: self.shared("i", d), lambda: self.shared("i", d))

    def exact(self, d):
        self.sqlite = False
        e = lambda kind="d": self.expression(kind, d)  # noqa: E731 - the grammar reads better so
        return self.pick(
            lambda: ["(", e(), self.chance.choice([" + ", " - "]), e(), ")"], lambda: ["(", e(), " * ", self.literal("i"), ")"],
            lambda: ["abs(", e(), ")"], lambda: ["(-(", e(), "))"], lambda: ["(", e(), " + ", e("i"), ")"],
            lambda: ["floor(", e(), ")"], lambda: ["ceil(", e(), ")"], lambda: self.shared("d", d), lambda: self.column("d"))

    def real(self, d):
        self.sqlite = False
        e = lambda kind="r": self.expression(kind, d)  # noqa: E731 - the grammar reads better so
        return self.pick(
            lambda: ["(", e(), self.chance.choice([" + ", " - "]), e(), ")"], lambda: ["(", e(), " * ", self.literal("i"), ")"],
            lambda: ["abs(", e(), ")"], lambda: ["(-(", e(), "))"], lambda: ["(", e(), " + ", e("i"), ")"],
            lambda: ["cast(", e(self.chance.choice("idr")), " as double)"], lambda: ["(", e(), " / nullif(", e(), ", 0))"],
            lambda: ["floor(", e(), ")"], lambda: ["ceil(", e(), ")"], lambda: self.shared("r", d), lambda: self.column("r"))

    def text(self, d):
        e = lambda kind="t": self.expression(kind, d)  # noqa: E731 - the grammar reads better so
        return self.pick(
            lambda: self.only_duckdb(["upper(", e(), ")"]), lambda: self.only_duckdb(["lower(", e(), ")"]),
            lambda: ["(", e(), " || ", e(), ")"], lambda: ["substr(", e(), f", {self.chance.randint(1, 3)}, {self.chance.randint(0, 3)})"],
            lambda: ["replace(", e(), ", 'a', 'xy')"], lambda: ["trim(", e(), ")"],
            lambda: self.only_duckdb(["reverse(", e(), ")"]), lambda: self.only_duckdb(["left(", e(), f", {self.chance.randint(0, 3)})"]),
            lambda: self.only_duckdb(["right(", e(), f", {self.chance.randint(0, 3)})"]), lambda: ["cast(", e("i"), " as varchar)"],
            lambda: self.only_duckdb(["concat(", e(), ", ", e(), ")"]), lambda: self.only_duckdb(["repeat(", e(), ", 2)"]),
            lambda: self.only_duckdb(["lpad(", e(), ", 5, '*')"]), lambda: self.only_duckdb(["split_part(", e(), ", 'b', 1)"]),
            lambda: self.shared("t", d))

    def truth(self, d):
        e = lambda kind="b": self.expression(kind, d)  # noqa: E731 - the grammar reads better so
        def compare(operators):
            kind = self.chance.choice("iiidtyr")
            return ["(", e(kind), self.chance.choice(operators), e(kind), ")"]
        return self.pick(
            lambda: compare([" = ", " <> ", " < ", " <= ", " > ", " >= "]), lambda: compare([" = ", " < ", " >= "]),
            lambda: compare([" is distinct from ", " is not distinct from "]),
            lambda: ["(", e(), self.chance.choice([" and ", " or "]), e(), ")"], lambda: ["(not ", e(), ")"],
            lambda: ["(", e(self.chance.choice("itb")), self.chance.choice([" is null", " is not null"]), ")"],
            lambda: ["(", e("i"), self.chance.choice([" in (", " not in ("]), *joined([self.literal("i") for _ in range(3)]), "))"],
            lambda: ["(", e("i"), self.chance.choice([" between ", " not between "]), e("i"), " and ", e("i"), ")"],
            lambda: ["(", e("t"), self.chance.choice([" like ", " not like "]), self.chance.choice(["'a%'", "'%b%'", "'_b'", "'%'", "'A_'"]), ")"],
            lambda: ["(", e(), self.chance.choice([" is true", " is not true", " is false"]), ")"],
            lambda: self.only_duckdb(["starts_with(", e("t"), ", 'a')"]))

    def day(self, d):
        self.sqlite = False
        return self.pick(
            lambda: self.column("y"), lambda: ["(", self.expression("y", 0), f" + interval '{self.chance.randint(1, 40)} days')"],
            lambda: ["(", self.expression("y", 0), f" - interval '{self.chance.randint(1, 14)} months')"],
            lambda: ["coalesce(", self.column("y"), ", ", self.literal("y"), ")"])

    def trunc(self):
        """Dates that are shown; those that are compared are not truncated."""
        day = self.expression("y", 2)
        if self.chance.random() < 0.5:
            return day
        return self.only_duckdb(["date_trunc('", self.chance.choice(["month", "year", "quarter", "week"]), "', ", day, ")"])

    def inner(self, make):
        """Something about another table, that may not name those outside."""
        outer, self.aliases = self.aliases, ["q"]
        try:
            return make(self.chance.choice(list(TABLES)))
        finally:
            self.aliases = outer

    def subquery(self, kind):
        return self.inner(lambda table: ["(select ", self.chance.choice(["min(", "max("]), self.expression(kind, 1), f") from {table} q)"])

    def column_query(self, kind):
        return self.inner(lambda table: ["(select ", self.expression(kind, 1), f" from {table} q where ", self.expression("b", 1), ")"])

    def exists(self):
        outer = self.column("i")
        return self.inner(lambda table: [self.chance.choice(["", "not "]), f"exists (select 1 from {table} q where q.id = ", outer,
                                         " and ", self.expression("b", 1), ")"])

    def tables(self):
        first = self.chance.choice(list(TABLES))
        self.aliases, out = ["t0"], [f"{first} t0"]
        for index in range(1, 1 + self.chance.choice([0, 0, 1, 1, 2])):
            table = self.chance.choice(list(TABLES))
            kind = self.chance.choice(["join", "left join", "left join", "right join", "full join", "join"])
            known = self.chance.choice(self.aliases)
            key = self.chance.choice(["id", "id", "a", "b", "y"])
            self.aliases.append(f"t{index}")
            out += [f" {kind} {table} t{index} on t{index}.{key} = {known}.{key}"]
            if self.chance.random() < 0.3 and kind in {"join", "left join"}:
                out += [" and ", self.expression("b", 1)]
        return out

    def window(self):
        order = ", ".join(f"{alias}.id nulls last" for alias in self.aliases)
        part = ["partition by ", self.expression(self.chance.choice("itb"), 1), " "] if self.chance.random() < 0.6 else []
        over = [" over (", *part, f"order by {order}"]
        frame = self.chance.choice(["", " rows between 2 preceding and current row", " rows between current row and 1 following",
                                    " rows between unbounded preceding and unbounded following",
                                    " rows between 3 preceding and 1 preceding", " rows between 1 following and 2 following",
                                    " range between unbounded preceding and current row",
                                    " groups between 1 preceding and 1 following",
                                    " range between current row and unbounded following"])
        kind = self.chance.choice("itdr")
        return self.pick(
            lambda: [self.chance.choice(["row_number()", "rank()", "dense_rank()", "ntile(3)", "percent_rank()", "cume_dist()"]), *over, ")"],
            lambda: [self.chance.choice(["lag(", "lead("]), self.expression(kind, 1), ")", *over, ")"],
            lambda: [self.chance.choice(["sum(", "min(", "max(", "count("]), self.expression("i", 1), ")", *over, frame, ")"],
            lambda: [self.chance.choice(["first_value(", "last_value("]), self.expression(kind, 1), ")", *over, frame, ")"],
            lambda: ["nth_value(", self.expression(kind, 1), ", 2)", *over, frame, ")"],
            lambda: [self.chance.choice(["lag(", "lead("]), self.expression("i", 1), ", 2, 0)", *over, ")"],
            lambda: ["avg(", self.expression("i", 1), ")", *over, frame, ")"])

    def aggregate(self):
        kind = self.chance.choice("iidt")
        made = self.pick(
            lambda: ["count(*)"], lambda: ["count(", self.expression(kind, 1), ")"], lambda: ["count(distinct ", self.expression("i", 1), ")"],
            lambda: ["sum(", self.expression(self.chance.choice("iid"), 2), ")"],
            lambda: [self.chance.choice(["min(", "max("]), self.expression(kind, 2), ")"], lambda: ["avg(", self.expression("i", 1), ")"],
            lambda: [self.chance.choice(["sum(", "sum(distinct ", "min(", "max(", "avg("]), self.expression("r", 0), ")"],
            lambda: self.only_duckdb([self.chance.choice(["bool_and(", "bool_or("]), self.expression("b", 1), ")"]),
            lambda: self.only_duckdb([self.chance.choice(["var_pop(", "stddev_samp(", "var_samp("]), self.expression("i", 1), ")"]),
            lambda: self.only_duckdb(["string_agg(", self.column("t"), ", ',' order by ", ", ".join(f"{a}.id" for a in self.aliases), ")"]))
        if self.chance.random() < 0.25:
            made = [*made, " filter (where ", self.expression("b", 1), ")"]
        return made

    def condition(self):
        made = [self.expression("b", 3) for _ in range(self.chance.choice([0, 1, 1, 2]))]
        # IN and EXISTS with a query are offered as conditions, not within a calculation.
        if self.chance.random() < 0.25:
            made.append(self.pick(self.exists, lambda: [
                "(", self.column("i"), self.chance.choice([" in ", " not in "]), self.column_query("i"), ")"]))
        return made

    def value_of_query(self):
        """IN and EXISTS as values in the select list."""
        return self.pick(self.exists, lambda: ["(", self.column("i"), self.chance.choice([" in ", " not in "]), self.column_query("i"), ")"])

    def lateral(self):
        """A query beside the tables that names one of them."""
        outer = self.chance.choice(self.aliases)
        table = self.chance.choice(list(TABLES))
        made = self.inner(lambda _: ["(select ", self.chance.choice(["count(*)", "max(q.b)", "min(q.a)", "sum(q.a)"]), f" as m from {table} q "
                                     f"where q.id = {outer}.id and q.b", self.chance.choice([" > ", " <= ", " <> "]), self.literal("i"), ") l"])
        return self.only_duckdb([" cross join lateral ", *made])

    def plain(self, kinds=None):
        tables = self.tables()
        if not kinds and self.chance.random() < 0.1:
            made = self.plain(["i"])
            made.items.append(self.value_of_query())
            return made
        if not kinds and self.chance.random() < 0.08:
            return Select([self.expression("i", 2), "l.m", f"{self.chance.choice(self.aliases)}.id"], [*tables, *self.lateral()], self.condition())
        kinds = kinds or [self.chance.choice("iidtbyr") for _ in range(self.chance.randint(1, 4))]
        made = Select([self.expression(kind, 3) if kind != "y" else self.trunc() for kind in kinds], tables, self.condition())
        made.distinct = self.chance.random() < 0.15
        return made

    def grouped(self):
        tables = self.tables()
        group = [self.expression(self.chance.choice("itb"), 1) for _ in range(self.chance.randint(0, 2))]
        # An expression without a column would be read as the number of an item.
        group = [item for item in group if any(f"{alias}." in render(item, "portico") for alias in self.aliases)]
        made = Select([*group, *(self.aggregate() for _ in range(self.chance.randint(1, 3)))], tables, self.condition(), group)
        if group and self.chance.random() < 0.2:
            made.grouping = self.only_duckdb(self.chance.choice(["rollup", "cube", "grouping sets"]))
            if made.grouping == "grouping sets":
                made.sets = self.chance.sample(["(0)", "(1)", "(0, 1)", "()", "(0)"], 3)
        if group and self.chance.random() < 0.3:
            made.having = [*self.aggregate_of_integers(), self.chance.choice([" > ", " < ", " <> "]), self.literal("i")]
        return made

    def aggregate_of_integers(self):
        return [self.chance.choice(["count(", "sum(", "min("]), self.expression("i", 1), ")"]

    def windowed(self):
        made = self.plain()
        made.distinct = False
        made.items += [self.window() for _ in range(self.chance.randint(1, 2))]
        if self.chance.random() < 0.2:
            order = ", ".join(f"{alias}.id nulls last" for alias in self.aliases)
            made.qualify = self.only_duckdb(["row_number() over (partition by ", self.column("i"), f" order by {order}) ",
                                             self.chance.choice(["= 1", "<= 2", "> 1"])])
        return made

    def united(self):
        kinds = [self.chance.choice("iitb") for _ in range(self.chance.randint(1, 2))]
        first, second = self.plain(kinds), self.plain(kinds)
        word = self.chance.choice([" union ", " union all ", " except ", " intersect "])
        first.after = [word, second.pieces()]
        return first

    def wrapped(self):
        """A statement as a common table expression or a table of its own, counted and summed."""
        inside = self.chance.choice([self.grouped, self.windowed, self.plain])()
        if self.chance.random() < 0.5:
            return Select(["count(*)", "count(c0)", "min(c0)", "count(distinct c0)"], ["w"],
                          before=["with w as (", inside.pieces(), ") "])
        return Select(["count(*)", "max(w.c0)", "count(w.c0)"], ["(", inside.pieces(), ") w"])

    def statement(self):
        made = self.chance.choice([self.plain, self.plain, self.grouped, self.grouped, self.windowed, self.united, self.wrapped])()
        if not made.after and self.chance.random() < 0.15 and "r" not in self.kinds:
            made.limit = self.chance.randint(1, 20)
        return made


# Comparing.

def portico_rows(answer):
    """The rows of an answer in JSON as values, by the types of their columns."""
    import json

    document = json.loads(answer.body)
    kinds = [column["type"].lower() for column in document["columns"]]
    return [tuple(value_of(cell, kind) for cell, kind in zip(row, kinds)) for row in document["rows"]]


def value_of(cell, kind):
    if cell is None or isinstance(cell, bool):
        return cell
    if kind.startswith(("int", "uint", "decimal", "float", "double", "numeric")):
        return float(cell)
    if kind.startswith("timestamp"):
        return datetime.datetime.fromisoformat(cell.replace("Z", ""))
    return datetime.date.fromisoformat(cell) if kind.startswith("date") else cell


def plain_value(value):
    """One spelling for what the systems spell differently."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float | decimal.Decimal):
        number = float(value)
        return "nan" if math.isnan(number) else number + 0.0
    if isinstance(value, datetime.datetime):
        value = value.replace(tzinfo=None)
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat()
    return value.isoformat() if isinstance(value, datetime.date) else value


def same(ours, theirs):
    """Whether two bags of rows are equal, numbers to nine digits."""
    if len(ours) != len(theirs):
        return False
    def key(row):
        return tuple((0, "") if v is None else (1, f"{v:.9g}") if isinstance(v, float) else (2, str(v)) for v in row)
    ours, theirs = (sorted((tuple(map(plain_value, row)) for row in rows), key=key) for rows in (ours, theirs))
    return all(len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b)) for a, b in zip(ours, theirs))


def same_value(ours, theirs):
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-6)
    return ours == theirs


class Engines:
    """The other systems, with the same tables."""

    def __init__(self):
        self.duckdb = duckdb.connect()
        self.duckdb.execute("set threads = 1")
        self.sqlite = sqlite3.connect(":memory:")
        self.sqlite.execute("pragma case_sensitive_like = true")
        for name in TABLES:
            for engine in (self.duckdb, self.sqlite):
                columns = ", ".join(f"{column} {SQL_TYPES[kind]}" for column, kind in COLUMNS)
                engine.execute(f"create table {name} ({columns})")
            rows = table_rows(name)
            self.duckdb.executemany(f"insert into {name} values (?,?,?,?,?,?,?,?,?)", rows)
            self.sqlite.executemany(f"insert into {name} values (?,?,?,?,?,?,?,?,?)", [
                tuple(float(v) if isinstance(v, decimal.Decimal) else str(v) if isinstance(v, datetime.date) else v for v in row)
                for row in rows])

    def ask(self, system, select):
        """Rows, or the error as a text."""
        try:
            engine = self.duckdb if system == "duckdb" else self.sqlite
            return engine.execute(render(select.pieces(), system)).fetchall()
        except (duckdb.Error, sqlite3.Error, OverflowError) as error:
            return f"{type(error).__name__}: {error}"


def differs(portal, engines, system, select):
    """How the answers differ; `None` where they do not, `skipped` where the other system has no answer."""
    theirs = engines.ask(system, select)
    if isinstance(theirs, str):
        return "skipped"
    answer = portal.ask(render(select.pieces(), "portico"))
    if answer.code != "ok":
        return f"{answer.code}: {answer.detail()[:200]}"
    ours = portico_rows(answer)
    if same(ours, theirs):
        return None
    here, there = (collections.Counter(tuple(map(plain_value, row)) for row in rows) for rows in (ours, theirs))
    return f"only here {list(here - there)[:3]}, only there {list(there - here)[:3]} ({len(ours)} and {len(theirs)} rows)"


def minimised(portal, engines, system, select):
    """A smaller statement that still differs."""
    for _ in range(40):
        for smaller in select.smaller():
            if differs(portal, engines, system, smaller) not in {None, "skipped"}:
                select = smaller
                break
        else:
            return select
    return select


def compare(portal, seed, numbers, say, most=None):
    """F17 against the other systems, until `most` answers are compared: `(compared, skipped, differences)`."""
    engines = Engines()
    compared, skipped, differences = collections.Counter(), 0, []
    for number in numbers:
        if most is not None and sum(compared.values()) >= most or not portal.alive():
            break
        again = f"compare {seed} {number}"
        maker = Maker(again)
        select = maker.statement()
        for system in ["duckdb", "sqlite"] if maker.sqlite else ["duckdb"]:
            found = differs(portal, engines, system, select)
            if found == "skipped":
                skipped += 1
                continue
            compared[system] += 1
            if found:
                small = minimised(portal, engines, system, select)
                differences.append(again)
                say(f"  [{again}] unlike {system}: {render(small.pieces(), 'portico')}\n     {differs(portal, engines, system, small)}")
    return compared, skipped, differences


def oracles(portal, seed, numbers, say):
    """F17 against itself: `(asked, differences)`."""
    asked, wrong = 0, []
    for number in numbers:
        again = f"oracle {seed} {number}"
        maker = Maker(again)
        select = maker.plain()
        select.distinct = False
        predicate, select.where = maker.expression("b", 3), []
        def ask(where=None, items=None, select=select):
            made = dataclasses.replace(select, where=[where] if where else [], items=items or select.items)
            return portal.ask(render(made.pieces(), "portico"))
        parts = [ask(["(", predicate, ")"]), ask(["(not (", predicate, "))"]), ask(["((", predicate, ") is null)"]), ask()]
        counted = [ask(["(", predicate, ")"], ["count(*)"]), ask(None, [["sum(case when ", predicate, " then 1 else 0 end)"]])]
        asked += 1
        statement = render(dataclasses.replace(select, where=[predicate]).pieces(), "portico")
        codes = [answer.code for answer in [*parts, *counted]]
        if any(code != "ok" for code in codes):
            # A calculation may fail on rows that a condition would have left out; then there is nothing to compare.
            if not set(codes) <= {"ok", "query_failed"}:
                wrong.append(again)
                say(f"  [{again}] {codes}: {statement}")
            continue
        rows = [portico_rows(answer) for answer in parts]
        sums = [(answer.rows[0][0] or 0) for answer in counted]
        if not same(rows[0] + rows[1] + rows[2], rows[3]) or int(sums[0]) != int(sums[1]):
            wrong.append(again)
            say(f"  [{again}] its parts make {sums}: {statement}")
    return asked, wrong


# Surviving.

# What other systems call by these names, and is not offered here, must be refused as that.
STRANGE = """atan2d bit_xor date_format date_sub ilike json_extract list_transform md4 now_utc pg_sleep read_csv sleep soundex
substr_index try_cast url_decode version""".split()


def functions():
    """The functions that the engine's record names, each with the arguments of its example as kinds or as they stand."""
    found = {name: [] for name in STRANGE}
    for rows in tomllib.loads((ROOT / "crates/engine/functions.toml").read_text()).values():
        for name, row in rows.items():
            called = re.search(rf"(?i)\b{re.escape(name)}\(", row["test"])
            if name.replace("_", "").isalnum():
                found[name] = [kind_of(argument) for argument in arguments(row["test"][called.end():])] if called else []
    return found


def arguments(text):
    """The arguments up to the bracket that ends them."""
    parts, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == "'"
        if not quoted and character in ")]}" and depth == 0:
            break
        depth += 0 if quoted else (character in "([{") - (character in ")]}")
        if character == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def kind_of(argument):
    """The kind of a literal or of a column of the record's table; what is neither, such as a list, stays as it is."""
    known = {"id": "i", "borough": "t", "note": "t", "cost": "d", "issued": "y", "score": "r"}
    if argument.lower() in known:
        return known[argument.lower()]
    for kind, pattern in [("i", r"-?\d+"), ("r", r"-?\d+\.\d+"), ("t", r"'[^']*'"), ("y", r"(?i)date '.*'"), ("b", r"(?i)true|false")]:
        if re.fullmatch(pattern, argument):
            return kind
    return "t" if '"' in argument else argument


class Wild(Maker):
    """Statements that need not mean anything: any function on any values."""

    functions = functions()
    ends = ["9223372036854775807", "-9223372036854775808", "0", "-1", "1e308", "'nan'", "null", "''", "cast(null as int)",
            "interval '1 month'", "date '9999-12-31'", "[1,2,null]", "'%Y'", "2000000000", "cast('inf' as double)", "x'00ff'",
            "timestamp '1969-12-31T23:59:59.999'", "cast(1 as decimal(38,10))", "repeat('x', 5000)", "cast('-0.0' as double)",
            "timestamp '9999-12-31T23:59:59'", "cast('nan' as double)", "18446744073709551616", "named_struct('a', 1)", "[]",
            "[[1], null]", "interval '-178000000 years'", "date '0001-01-01'", "make_time(23, 59, 59)", "now()",
            "cast('99999999999999999999999999999999999999' as decimal(38,0))", "-128", "cast(-128 as tinyint)"]

    def expression(self, kind, depth=2):
        if depth > 0 and self.chance.random() < 0.12:
            return self.call(depth)
        if self.chance.random() < 0.02:
            return self.chance.choice(self.ends)
        if depth > 0 and self.chance.random() < 0.03:
            return ["cast(", super().expression(self.chance.choice("iidtbyr"), depth - 1), " as ",
                    self.chance.choice(["int", "tinyint", "varchar", "date", "timestamp", "double", "decimal(38,20)", "boolean",
                                        "bytea", "time", "bigint unsigned", "real"]), ")"]
        return super().expression(kind, depth)

    def call(self, depth):
        """A function, mostly with what its example takes, or anything else."""
        name = self.chance.choice(list(self.functions))
        kinds = self.functions[name]
        if self.chance.random() < 0.2 or not kinds:
            kinds = [self.chance.choice("iidtbyr") for _ in range(self.chance.choice([0, 1, 1, 2, 2, 3, 4]))]
        given = [self.chance.choice(self.ends) if self.chance.random() < 0.15 else
                 self.expression(kind, depth - 1) if kind in SQL_TYPES else kind for kind in kinds]
        over = [" over (order by ", self.column("i"), ")"] if self.chance.random() < 0.1 else []
        return [f"{name}(", *joined(given), ")", *over]


def survive(portal, seed, numbers, say):
    """F16: `(outcomes, faults)`. Every fifth statement is sent over Flight.

    `broken` is no fault: a statement that fails on later rows, after the first were sent, can only end its answer.
    """
    outcomes, faults = collections.Counter(), []

    def send(number):
        sql = render(Wild(f"wild {seed} {number}").statement().pieces(), "portico")
        if number % 5 == 4:
            return number, sql, portal.ask_flight(sql, timeout=60)
        return number, sql, portal.ask(sql, source=f"127.0.0.{60 + number % 4}", timeout=60, most=16 << 20)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for number, sql, answer in pool.map(send, numbers):
            outcomes[answer.code] += 1
            again = f"wild {seed} {number}"
            leak = leaks(answer.detail(), sql) if answer.code != "ok" else None
            if leak:
                faults.append(again)
                say(f"  [{again}] a text says {leak!r}: {answer.detail()[:200]}\n     {sql[:300]}")
            if answer.status >= 500 or answer.code not in {"ok", "broken", *PROBLEMS} or answer.code == "internal":
                faults.append(again)
                say(f"  [{again}] {answer.code} {answer.status}: {sql[:700]}")
            if not portal.alive():
                faults.append(again)
                say(f"  [{again}] THE SERVER DIED")
                break
    return outcomes, faults


def once_more(portal, again, say=print):
    """Sends one statement again by the words that a failure was printed with."""
    what, seed, number = again.split()
    run = {"wild": survive, "compare": compare, "oracle": oracles}[what]
    made = {"wild": Wild, "compare": Maker, "oracle": Maker}[what](again)
    if what != "oracle":
        say(f"  {render(made.statement().pieces(), 'portico')}")
    *_, found = run(portal, int(seed), [int(number)], say)
    return [Figure("F16" if what == "wild" else "F17", again, "answered right", f"{len(found)} faults", not found,
                   f'tests/attack random_sql --again "{again}"')]


def figures(portal, _scratch, statements, comparisons, seeds, say=print):
    """F16 and F17, divided among the seeds."""
    began = time.monotonic()
    outcomes, faults, wrong, asked = collections.Counter(), [], [], 0
    compared, skipped, differences = collections.Counter(), 0, []
    share = lambda number: -(-number // len(seeds))  # noqa: E731 - rounded up
    with Probe(portal, "select count(*) from parks") as probe:
        for seed in seeds:
            say(f"  seed {seed}: {share(statements)} statements to survive")
            seen, found = survive(portal, seed, range(share(statements)), say)
            outcomes, faults = outcomes + seen, faults + found
    faults += [f"neighbour: {text}" for text in probe.failures]
    say(f"  outcomes: {dict(outcomes.most_common())}")
    took = time.monotonic() - began
    for seed in seeds:
        say(f"  seed {seed}: {share(comparisons)} answers to compare")
        more, left, found = compare(portal, seed, itertools.count(), say, share(comparisons))
        compared, skipped, differences = compared + more, skipped + left, differences + found
        more, found = oracles(portal, seed, range(max(10, share(comparisons) // 10)), say)
        asked, wrong = asked + more, wrong + found
    command = f"tests/attack random_sql --seeds {' '.join(map(str, seeds))} --statements {statements} --comparisons {comparisons}"
    return [
        Figure("F16", f"random statements: exits, 5xx, hangs, leaks ({outcomes['ok']} of them answered)", "0",
               f"{len(faults)} of {sum(outcomes.values()):,} ({took:.0f} s)", not faults and portal.alive(), command),
        Figure("F17", "answers unlike DuckDB's and SQLite's", "0 unexplained",
               f"{len(differences)} of {compared['duckdb']:,} + {compared['sqlite']:,} ({skipped} skipped)", not differences, command),
        Figure("F17/self", "answers unlike their own parts (TLP, NoREC)", "0", f"{len(wrong)} of {asked:,}", not wrong, command),
    ]
