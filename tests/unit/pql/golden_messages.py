"""Golden messages: blocks of a query, its lines marked with `> `, and the message it gets, apart by blank lines."""

from __future__ import annotations

from pathlib import Path


def read_messages(name: str) -> list[tuple[str, str]]:
    found = []
    for block in (Path(__file__).parent / name).read_text().split("\n\n"):
        lines = block.strip("\n").split("\n")
        query = [line[2:] for line in lines if line.startswith("> ") or line == ">"]
        if query:
            found.append(("\n".join(query), "\n".join(lines[len(query) :])))
    return found
