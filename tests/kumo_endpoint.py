"""A stand-in for an endpoint of Kumo Relational on a loopback port.

It takes requests strictly by the contract that structured-data-models-client 1.0 speaks, and answers 422 to any other:
types of cells, ids, keys, links that lead somewhere, limits. What it answers is worked out from what it was sent: of
the five examples of the context that are most alike (own features, own row, rows that point at it, days before the
anchor), the shares of the classes or the quantiles of the numbers. So an answer is right only if all of it arrived
where it belongs. It knows nothing of dbt-rfm.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
import uuid
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

NEIGHBOURS = 5
MOMENT = re.compile(r"(1[7-9]|2[0-2])\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
MEANINGS = {
    "ID": {"int64", "string"},
    "numerical": {"int64", "float32", "float64"},
    "categorical": {"string", "bool"},
    "timestamp": {"timestamp[us]"},
}
TARGETS = {
    "binary_classification": "column_name dtype classes positive_class",
    "multiclass_classification": "column_name dtype classes",
    "regression": "column_name dtype",
}
CELLS: dict[str, Callable[[Any], bool]] = {
    "int64": lambda cell: type(cell) is int,
    "float64": lambda cell: type(cell) in (int, float) and math.isfinite(cell),
    "float32": lambda cell: type(cell) in (int, float) and math.isfinite(cell),
    "string": lambda cell: type(cell) is str,
    "bool": lambda cell: type(cell) is bool,
    "timestamp[us]": lambda cell: type(cell) is str and bool(MOMENT.fullmatch(cell)),
}


class Refused(Exception):
    """What is wrong with a request."""


@dataclass
class Behaviour:
    """How the stand-in behaves, where it does not behave well."""

    key: str = ""  # the key it wants
    sessions: bool = True
    forgets_after: int | None = None  # calls of a session
    fails: tuple[int, dict[str, Any]] | None = None  # status and body of every answer
    waits: float = 0.0
    levels: tuple[str, ...] = tuple(str(i / 20) for i in range(1, 20))
    spoils: Callable[[dict[str, Any]], Any] = lambda answer: answer  # what becomes of an answer before it is sent


@dataclass
class Endpoint:
    url: str
    behaviour: Behaviour
    calls: list[tuple[str, str]] = field(default_factory=list)  # method and what of
    bodies: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def count(self, method: str, what: str) -> int:
        return self.calls.count((method, what))


@contextmanager
def kumo_endpoint(**behaviour: Any) -> Iterator[Endpoint]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}", Behaviour(**behaviour))  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.endpoint  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        endpoint.bodies.append(text)
        what = self.path.split("/")[-1]
        self._begin("POST", what)
        if endpoint.behaviour.fails:
            return self._send(*endpoint.behaviour.fails)
        if endpoint.behaviour.key and self.headers.get("X-API-Key") != endpoint.behaviour.key:
            return self._send(401, {"code": "UNAUTHORIZED", "detail": f"no to {self.headers.get('X-API-Key')}"})
        try:
            self._answer(endpoint, json.loads(text, parse_constant=_no_constant))
        except (Refused, KeyError) as problem:
            endpoint.refused.append(str(problem))
            self._send(422, {"code": "INVALID_REQUEST", "title": "Unprocessable", "detail": str(problem)})

    def do_DELETE(self) -> None:
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        self._begin("DELETE", "sessions")
        endpoint.kept.pop(self.path.split("/")[-1], None)
        self._send(204, None)

    def _begin(self, method: str, what: str) -> None:
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        endpoint.calls.append((method, what))
        endpoint.keys.append(self.headers.get("X-API-Key"))
        time.sleep(endpoint.behaviour.waits)

    def _answer(self, endpoint: Endpoint, body: dict[str, Any]) -> None:
        behaviour, parts = endpoint.behaviour, self.path.strip("/").split("/")
        if parts == ["v1", "predictions"]:
            check_keys(body, "request", "model task schema context predict output inference metadata")
            return self._predict(endpoint, body)
        if parts[:2] != ["v1", "sessions"] or not behaviour.sessions:
            return self._send(404, {"code": "NOT_FOUND", "detail": "no such path"})
        if len(parts) == 2:
            check_keys(body, "session", "model task schema context metadata")
            check_context(body)
            name = uuid.uuid4().hex
            endpoint.kept[name] = body
            return self._send(201, {"session_id": name, "expires_at": "2099-01-01T00:00:00Z", "ttl_seconds": 3600})
        kept = endpoint.kept.get(parts[2])
        endpoint.answered[parts[2]] += 1
        limit = behaviour.forgets_after
        if kept is None or (limit is not None and endpoint.answered[parts[2]] > limit):
            return self._send(404, {"code": "SESSION_NOT_FOUND", "detail": "no such session"})
        check_keys(body, "call", "predict output inference metadata")
        self._predict(endpoint, {**kept, **body})

    def _predict(self, endpoint: Endpoint, body: dict[str, Any]) -> None:
        check_context(body)
        check_predict(body)
        self._send(200, endpoint.behaviour.spoils(answer(body, endpoint.behaviour.levels)))

    def _send(self, status: int, body: Any) -> None:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _no_constant(name: str) -> None:
    raise Refused(f"{name} is not JSON")


def want(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(what)


def check_keys(given: dict[str, Any], what: str, names: str, optional: str = "") -> None:
    missing, other = set(names.split()) - set(given), set(given) - set(names.split()) - set(optional.split())
    want(not missing and not other, f"{what}: missing {sorted(missing)}, not in the contract {sorted(other)}")


def check_context(body: dict[str, Any]) -> None:
    want(body["model"] == "kumo-relational", "model")
    check_schema(body)
    check_task(body)
    rows = body["context"]["instance_table"]["rows"]
    want(1 <= len(rows) <= 10_000, f"N_train {len(rows)} exceeds limit 10000")
    check_half(body, "context")
    check_labels(body)


def check_predict(body: dict[str, Any]) -> None:
    rows = body["predict"]["instance_table"]["rows"]
    want(1 <= len(rows) <= 10_000, f"N_test {len(rows)} exceeds limit 10000")
    check_half(body, "predict")
    check_keys(body["output"], "output", "fields", "prediction_statistic")
    fields = {"regression": ["quantiles"]}.get(body["task"]["kind"], ["probabilities"])
    want(body["output"]["fields"] == fields, f"output {body['output']['fields']}")
    check_keys(body["inference"], "inference", "run_mode use_prediction_time")
    context = len(body["context"]["instance_table"]["rows"])
    want(body["inference"]["run_mode"] == ("fast" if context <= 1000 else "best"), "run_mode")
    ids = [{row[0] for row in body[half]["instance_table"]["rows"]} for half in ("context", "predict")]
    want(not ids[0] & ids[1], "instance ids of the context and of the rows to predict overlap")


def check_task(body: dict[str, Any]) -> None:
    task, schema = body["task"], body["schema"]
    check_keys(task, "task", "kind target entity_table_names anchor_time_column")
    want(task["kind"] in TARGETS, f"kind {task['kind']}")
    columns = schema["instance_table"]["columns"]
    target = task["target"]
    column = columns[target["column_name"]]
    want(target["dtype"] == column["dtype"], "the target's type is not that of the schema")
    binary = task["kind"] == "binary_classification"
    check_keys(target, "target", TARGETS[task["kind"]])
    want(not binary or (target["classes"], target["positive_class"]) == (["false", "true"], "true"), "classes")
    want(len(target.get("classes", [])) <= 10, "at most 10 classes")
    want(meaning(column) == ("numerical" if task["kind"] == "regression" else "categorical"), "stype of the target")
    want(len(task["entity_table_names"]) == 1, "one entity table")
    want(task["entity_table_names"][0] in schema["related_tables"], "the entity table is not there")
    moment = {"dtype": "timestamp[us]", "stype": "timestamp", "nullable": False}
    want(columns[task["anchor_time_column"]] == moment, "anchor")


def check_schema(body: dict[str, Any]) -> None:
    schema = body["schema"]
    check_keys(schema, "schema", "instance_table related_tables relationships")
    want(1 <= len(schema["related_tables"]) <= 15, "tables")
    want(schema["instance_table"]["primary_key"] == "instance_id", "key of the instance table")
    for name, table in [("instance_table", schema["instance_table"]), *schema["related_tables"].items()]:
        check_keys(table, name, "columns primary_key")
        for column, spec in table["columns"].items():
            check_keys(spec, f"{name}.{column}", "dtype", "stype nullable")
            want(spec["dtype"] in MEANINGS.get(meaning(spec), ()), f"{name}.{column} {spec}")
        keys = table["primary_key"] if isinstance(table["primary_key"], list) else [table["primary_key"]]
        want(name == "instance_table" or (len(keys) == 2 and keys[0] == "instance_id"), f"key of {name}")
        want(all(table["columns"][key].get("nullable") is False for key in keys), f"null in the key of {name}")
        want(all(meaning(table["columns"][key]) == "ID" for key in keys), f"key of {name} is no ID")
    own = [link for link in schema["relationships"] if "source_table" not in link]
    want(len(own) == 1, "one relationship leaves the instance table")
    for link in schema["relationships"]:
        check_keys(link, "relationship", "source_columns target_table target_columns", "source_table")
        source = schema["related_tables"][link["source_table"]] if "source_table" in link else schema["instance_table"]
        want(all(meaning(source["columns"][name]) == "ID" for name in link["source_columns"]), "link of no ID")
        target = schema["related_tables"][link["target_table"]]
        want(target["primary_key"] == ["instance_id", *link["target_columns"]], "a link leads to no key")


def meaning(spec: dict[str, Any]) -> str:
    """What is not said is an id: so the client does with keys that have a type of their own."""
    return spec.get("stype", "ID")


def check_half(body: dict[str, Any], half: str) -> None:
    schema, given = body["schema"], body[half]
    check_keys(given, half, "instance_table related_tables")
    want(set(given["related_tables"]) == set(schema["related_tables"]), f"tables of {half}")
    target = body["task"]["target"]["column_name"]
    wanted = {k: v for k, v in schema["instance_table"]["columns"].items() if half == "context" or k != target}
    check_rows(given["instance_table"], wanted, f"{half}.instance_table")
    for name, table in given["related_tables"].items():
        check_rows(table, schema["related_tables"][name]["columns"], f"{half}.{name}")
    check_links(schema, given, half)


def check_rows(table: dict[str, Any], columns: dict[str, Any], where: str) -> None:
    check_keys(table, where, "format columns rows")
    want(table["format"] == "arrays", "format")
    want(table["columns"] == list(columns), f"columns of {where}: {table['columns']}")
    for row in table["rows"]:
        want(type(row) is list and len(row) == len(columns), f"{where}: a row of another width")
        for (name, spec), cell in zip(columns.items(), row, strict=True):
            valid = spec.get("nullable", True) if cell is None else CELLS[spec["dtype"]](cell)
            want(valid, f"{where}.{name} is {spec['dtype']}, not {cell!r}")


def check_links(schema: dict[str, Any], given: dict[str, Any], half: str) -> None:
    """Rows belong to instances, keys are there once, and every link that is not null leads to a row of its instance."""
    instances = records(given["instance_table"])
    ids = [row["instance_id"] for row in instances]
    want(len(set(ids)) == len(ids), f"{half}: an instance id is there twice")
    tables = {name: records(table) for name, table in given["related_tables"].items()}
    keys = {}
    for name, rows in tables.items():
        want({row["instance_id"] for row in rows} <= set(ids), f"{half}.{name}: rows of no instance")
        keyed = [tuple(row[key] for key in schema["related_tables"][name]["primary_key"]) for row in rows]
        keys[name] = set(keyed)
        want(len(keys[name]) == len(keyed), f"{half}.{name}: a key is there twice")
    for link in schema["relationships"]:
        (column,) = link["source_columns"]
        for row in tables[link["source_table"]] if "source_table" in link else instances:
            led = row[column] is None or (row["instance_id"], row[column]) in keys[link["target_table"]]
            want(led, f"{half}: {column} leads nowhere")


def check_labels(body: dict[str, Any]) -> None:
    target = body["task"]["target"]
    labels = {row[target["column_name"]] for row in records(body["context"]["instance_table"])}
    want(None not in labels, "a label is null")
    if body["task"]["kind"] == "multiclass_classification":
        want(labels == set(target["classes"]), f"classes are {sorted(labels)}, and {target['classes']} were told")
    want(len(labels) > 1, "every label is the same")


def records(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def answer(body: dict[str, Any], levels: tuple[str, ...]) -> dict[str, Any]:
    target = body["task"]["target"]
    labels = [row[target["column_name"]] for row in records(body["context"]["instance_table"])]
    context, asked = described(body, "context"), described(body, "predict")
    spread = context.std(axis=0) + 1e-9
    distances = (((asked[:, None] - context[None]) / spread) ** 2).sum(axis=2)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]
    ids = [row["instance_id"] for row in records(body["predict"]["instance_table"])]
    items = [
        {"row_index": i, "id": str(ids[i]), **said([labels[j] for j in nearest[i]], target, levels)}
        for i in range(len(ids))
    ]
    # In no particular order: which row an item is about is said by its row_index.
    return {"id": "p-1", "model": body["model"], "predictions": items[::-1], "metadata": {}}


def said(labels: list[Any], target: dict[str, Any], levels: tuple[str, ...]) -> dict[str, Any]:
    if "classes" not in target:
        return {"quantiles": {level: float(np.quantile(labels, float(level))) for level in levels}}
    spelt = [str(label).lower() if isinstance(label, bool) else label for label in labels]
    return {"probabilities": {name: spelt.count(name) / len(spelt) for name in target["classes"]}}


def described(body: dict[str, Any], half: str) -> np.ndarray:
    """[instances, numbers] own features, own row, and how many rows point at it with which sums."""
    schema, given = body["schema"], body[half]
    (entity,) = body["task"]["entity_table_names"]
    instances = records(given["instance_table"])
    leave = {body["task"]["target"]["column_name"], body["task"]["anchor_time_column"]}
    own = next(link for link in schema["relationships"] if "source_table" not in link)
    key = own["target_columns"][0]
    owned = {(row["instance_id"], row[key]): row for row in records(given["related_tables"][entity])}
    pointing = [link for link in schema["relationships"] if link.get("source_table") and link["target_table"] == entity]
    children = [_children(schema, given, link) for link in pointing]
    found = []
    for row in instances:
        at = row[body["task"]["anchor_time_column"]]
        me = (row["instance_id"], row[own["source_columns"][0]])
        numbers = _numbers(row, schema["instance_table"], at, leave)
        numbers += _numbers(owned[me], schema["related_tables"][entity], at, set())
        for link, rows in zip(pointing, children, strict=True):
            table = schema["related_tables"][link["source_table"]]
            mine = [_numbers(child, table, at, set()) for child in rows[me]]
            width = len(_numbers(dict.fromkeys(table["columns"]), table, at, set()))
            numbers += [len(mine), *np.sum(np.array(mine).reshape(-1, width), axis=0)]
        found.append(numbers)
    return np.array(found, dtype=float)


def _children(schema: dict[str, Any], given: dict[str, Any], link: dict[str, Any]) -> dict[Any, list[dict[str, Any]]]:
    rows: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in records(given["related_tables"][link["source_table"]]):
        rows[row["instance_id"], row[link["source_columns"][0]]].append(row)
    return rows


def _numbers(row: dict[str, Any], table: dict[str, Any], at: str, leave: set[str]) -> list[float]:
    specs = {name: spec for name, spec in table["columns"].items() if meaning(spec) != "ID" and name not in leave}
    return [_number(row[name], spec["dtype"], at) for name, spec in specs.items()]


def _number(cell: Any, dtype: str, at: str) -> float:
    if cell is None:
        return -1.0
    if dtype == "string":
        return zlib.crc32(cell.encode()) % 1000
    if dtype == "timestamp[us]":
        return (datetime.fromisoformat(at) - datetime.fromisoformat(cell)).total_seconds() / 86_400
    return float(cell)
