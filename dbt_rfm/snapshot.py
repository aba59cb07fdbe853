"""The snapshot bundle: everything a prediction depends on, besides the weights, as one value and one folder.

    manifest.json        query, schema fingerprint, anchor, features, counts, sha256 of each file, package version
    examples.parquet     example_id, split, entity, anchor_time, label (a closed window's outcome; null in a query)
    features.parquet     example_id and one column per feature: what the model reads
    rows/<table>.parquet the sampled neighbourhood: example_id, hop, the row's own columns

`split` is `context` (labelled, shown to the model), `query` (to be predicted), and for the backtest, which is the same
procedure one horizon earlier, `backtest_context` and `backtest`.

A bundle whose files are not those its manifest names is refused: what was predicted can be repeated, or it says so.
The manifest's own sha256 is the bundle's name, for the registry.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_rfm import __version__
from dbt_rfm.errors import ModelError
from dbt_rfm.task_kind import TaskKind

if TYPE_CHECKING:
    import pyarrow as pa

CONTEXT, QUERY, BACKTEST_CONTEXT, BACKTEST = "context", "query", "backtest_context", "backtest"

#: Names of the features that hold an entity's labels from closed windows, the newest first.
PAST_LABEL = "past label"  # source of features made of known labels
PAST_LABELS = tuple(f"past.lag{k}" for k in range(1, 9))
#: In the name of a feature that counts rows with one value of a category, as in orders.status=returned.count.90d.
OF_VALUE = "="
#: In the name of a model's column that tells whether a text has a word, as in tickets.subject.last~refund.
OF_WORD = "~"
TEXT = "text"  # the kind of a feature that a model reads as words
KEYS = "keys"  # the kind of a feature that lists keys, by which examples are akin
BETWEEN_KEYS = "␟"  # no sign of control: each dialect would write it in its own way


@dataclass(frozen=True)
class Feature:
    """A column of features.parquet."""

    name: str  # e.g. orders.count.90d
    kind: str  # 'numerical' (double, null = missing) | 'categorical' (string, null = missing) | 'text' (so is it)
    source: str  # where it comes from: 'own', 'parent', 'child', PAST_LABEL, 'calendar', …
    table: str = ""  # the table it summarises

    def cleaned(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """As a model takes it: doubles without NaN and infinity, or text."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.kind != "numerical":
            return values.cast(pa.string())
        values = values.cast(pa.float64())
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


@dataclass(frozen=True)
class Snapshot:
    query: str
    kind: TaskKind
    classes: tuple[str, ...]  # multiclass: the labels seen, ordered; binary: ('false', 'true'); else ()
    entity: str  # name of the entity key column
    anchor: datetime
    schema_fingerprint: str
    features_meta: tuple[Feature, ...]
    examples: pa.Table  # ordered by example_id
    features: pa.Table  # same order
    rows: Mapping[str, pa.Table] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what a reader should know: empty table, capped context, …
    options: Mapping[str, Any] = field(default_factory=dict)
    #: context split -> class -> its share if rare classes had no minimum; left out where it is the split's own share.
    label_shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    #: context split -> text -> the words that are columns of models.
    words: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    #: of a recommendation: item (the key's name), number (length of a list), items (how many there are).
    ranking: Mapping[str, Any] = field(default_factory=dict)
    #: of `rows`: entity (its table), tables (name -> key, columns with their semantic types), links (child, column,
    #: parent, its key).
    graph: Mapping[str, Any] = field(default_factory=dict)
    #: of a large answer, of whose query examples only the first shard is here: bounds (the example_ids where shards
    #: begin and the last ends), blocks (tables of features in the warehouse), of a recommendation groups (in all).
    shards: Mapping[str, Any] = field(default_factory=dict)
    prediction: str = "ad_hoc"  # the model it was collected for: under this name trained weights are kept


FORMAT = 1
MANIFEST = "manifest.json"
_ROWS = "rows"
_ENTRIES = frozenset(
    [
        "query",
        "kind",
        "classes",
        "entity",
        "anchor",
        "schema_fingerprint",
        "features",
        "rows",
        "files",
        "notes",
        "options",
        "label_shares",
        "words",
        "ranking",
        "graph",
        "shards",
        "prediction",
    ]
)


def write_bundle(snapshot: Snapshot, folder: str | Path) -> str:
    """Write the bundle and give its sha256. Raises ModelError unless `folder` is new or empty."""
    import pyarrow.parquet as pq

    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ModelError("expected a new or empty folder for the bundle", where=str(folder))
    (folder / _ROWS).mkdir(parents=True, exist_ok=True)
    tables = {"examples.parquet": snapshot.examples, "features.parquet": snapshot.features}
    files = {name: f"{_ROWS}/{_file_name(name, i)}" for i, name in enumerate(snapshot.rows)}
    tables |= {files[name]: table for name, table in snapshot.rows.items()}
    for name, table in tables.items():
        pq.write_table(table, folder / name, compression="zstd")
    manifest = {
        "format": FORMAT,
        "package_version": __version__,
        **described(snapshot),
        "rows": files,
        "counts": {name: table.num_rows for name, table in tables.items()},
        "files": {name: _sha(folder / name) for name in tables},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return bundle_sha(folder)


def read_bundle(folder: str | Path) -> Snapshot:
    """The snapshot of a bundle. Raises ModelError if it is none, or if a file was changed, added to or lost."""
    import pyarrow.parquet as pq

    folder = Path(folder)
    manifest = _manifest(folder)
    for name, expected in manifest["files"].items():
        if not (folder / name).is_file():
            raise ModelError(f"the bundle has lost {name}", where=str(folder), hint="Collect a new snapshot.")
        got = _sha(folder / name)
        if got != expected:
            raise ModelError(
                f"{name} was changed: expected sha256 {expected[:12]}…, got {got[:12]}…",
                where=str(folder),
                hint="A prediction from it would be none of the run that made it. Collect a new snapshot.",
            )
    return from_description(
        manifest,
        examples=pq.read_table(folder / "examples.parquet"),
        features=pq.read_table(folder / "features.parquet"),
        rows={name: pq.read_table(folder / file) for name, file in manifest["rows"].items()},
    )


def described(snapshot: Snapshot) -> dict[str, Any]:
    """Everything but the tables, as JSON can hold it."""
    return {
        "query": snapshot.query,
        "kind": snapshot.kind,
        "classes": snapshot.classes,
        "entity": snapshot.entity,
        "anchor": snapshot.anchor.isoformat(),
        "schema_fingerprint": snapshot.schema_fingerprint,
        "features": [asdict(feature) for feature in snapshot.features_meta],
        "notes": snapshot.notes,
        "options": dict(snapshot.options),
        "label_shares": {split: dict(shares) for split, shares in snapshot.label_shares.items()},
        "words": {split: dict(words) for split, words in snapshot.words.items()},
        "ranking": dict(snapshot.ranking),
        "graph": dict(snapshot.graph),
        "shards": dict(snapshot.shards),
        "prediction": snapshot.prediction,
    }


def from_description(
    said: Mapping[str, Any], *, examples: pa.Table, features: pa.Table, rows: Mapping[str, pa.Table]
) -> Snapshot:
    return Snapshot(
        query=said["query"],
        kind=TaskKind(said["kind"]),
        classes=tuple(said["classes"]),
        entity=said["entity"],
        anchor=datetime.fromisoformat(said["anchor"]),
        schema_fingerprint=said["schema_fingerprint"],
        features_meta=tuple(Feature(**feature) for feature in said["features"]),
        examples=examples,
        features=features,
        rows=rows,
        notes=tuple(said["notes"]),
        options=said["options"],
        label_shares=said["label_shares"],
        words=said["words"],
        ranking=said["ranking"],
        graph=said["graph"],
        shards=said["shards"],
        prediction=said["prediction"],
    )


def bundle_sha(folder: str | Path) -> str:
    """The sha256 of the manifest, which names the sha256 of every other file."""
    return _sha(Path(folder) / MANIFEST)


def _file_name(table: str, position: int) -> str:
    """The table's own name where any file system takes it."""
    return f"{table}.parquet" if re.fullmatch(r"[a-z0-9_]{1,64}", table) else f"{position}.parquet"


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"this is no snapshot bundle: {MANIFEST} cannot be read", where=str(folder)) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        got = manifest.get("format") if isinstance(manifest, dict) else "something else"
        raise ModelError(f"expected a bundle of format {FORMAT}, got {got}", where=str(folder))
    lost = _ENTRIES - manifest.keys()
    if lost:
        raise ModelError(
            f"{MANIFEST} lacks {', '.join(sorted(lost))}", where=str(folder), hint="Collect a new snapshot."
        )
    return manifest


def _sha(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for part in iter(lambda: stream.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()
