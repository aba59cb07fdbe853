"""What of the tables is not as it was when a prediction was last built, in words.

In: the registry's newest version of the prediction, the newest kept bundle, the snapshot that will be published.
Out: one note, or none. Nothing depends on it: features, contexts and trained weights follow from what is there now; the
note says why figures may have moved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbt_rfm.job import JobTarget
from dbt_rfm.snapshot import MANIFEST, Snapshot
from dbt_rfm.versions.registry import list_versions
from dbt_rfm.warehouse.base import Warehouse


def since_last_version(
    snapshot: Snapshot, fingerprint: str, warehouse: Warehouse, home: JobTarget, bundles: Path
) -> tuple[str, ...]:
    """`bundles`: the folder of the prediction's bundles, to name what changed; without one only that it did is said."""
    last = list_versions(warehouse, home, home.identifier).slice(0, 1).to_pylist()
    if not last or last[0]["schema_fingerprint"] == fingerprint:
        return ()
    found = differences(_newest_graph(bundles), snapshot.graph)
    what = "; ".join(found) or "names, types, keys or links differ"
    return (f"the schema is not that of version {last[0]['version']}: {what}",)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Between two graphs of a snapshot, tables first; nothing where one of them is not known."""
    if not before or not after:
        return []
    was, now = before["tables"], after["tables"]
    found = [f"table {name} is new" for name in now if name not in was]
    found += [f"table {name} is gone" for name in was if name not in now]
    for name in (name for name in now if name in was):
        found += _columns(name, was[name]["columns"], now[name]["columns"])
    return found


def _columns(table: str, was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    gone = [c for c in was if c not in now]
    new = [c for c in now if c not in was]
    if len(gone) == len(new) == 1 and was[gone[0]] == now[new[0]]:
        return [f"{table}.{gone[0]} is gone and {table}.{new[0]} of the same kind is there"]
    said = [f"{table}.{c} is new" for c in new] + [f"{table}.{c} is gone" for c in gone]
    return said + [f"{table}.{c} was {was[c]} and is {now[c]}" for c in now if c in was and was[c] != now[c]]


def _newest_graph(bundles: Path) -> Mapping[str, Any]:
    kept = sorted(bundles.glob(f"*/{MANIFEST}"))
    if not kept:
        return {}
    try:
        return json.loads(kept[-1].read_text(encoding="utf-8")).get("graph", {})
    except (OSError, ValueError):  # half written when a build was killed: then it is not known
        return {}
