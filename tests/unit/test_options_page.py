"""docs/options.md names every option and every var, with the default that the code has."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path

from dbt_rfm.options import Options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
ROWS = {m[1]: m[2].strip().strip("`") for m in re.finditer(r"^\| `(\w+)` \|([^|]*)\|", PAGE, flags=re.MULTILINE)}


def test__options__each__is_on_the_page_with_its_default() -> None:
    for option in fields(Options):
        assert option.name in ROWS, f"docs/options.md does not name {option.name}"
        if option.default is not MISSING and option.default not in ("", None):
            said = ROWS[option.name]
            assert said in (option.default, json.dumps(option.default)), option.name
    assert ROWS["context_size"] == str(Options().context)


def test__options__on_the_page__are_there() -> None:
    first = PAGE.split("## For the tables")[0]
    named = {name for name in ROWS if f"| `{name}` |" in first}
    assert named == {option.name for option in fields(Options)}


def test__vars__of_the_macros__are_on_the_page() -> None:
    files = [*(ROOT / "macros").rglob("*.sql"), *(ROOT / "python_models").rglob("*.yml")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    known = {name for text in texts for name in re.findall(r"var\(\s*'(dbt_rfm_\w+)'", text)}
    assert len(known) >= 5
    assert not [name for name in known if f"`{name}`" not in PAGE]
