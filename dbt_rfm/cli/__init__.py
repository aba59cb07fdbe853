"""The command line, `dbt-rfm`. One file per family of commands; `app.py` puts them together.

Every command prints an RfmError as it is and ends with 1 (2 where the command itself was written wrongly); nobody sees
a traceback who did not ask for one with `--debug`. Commands load what they need when they run, so that `--help` is
quick. What a command prints for people or programs goes to stdout, progress and errors to stderr.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code (SystemExit). Default: the arguments of this process."""
    from dbt_rfm.cli.app import run

    run(arguments)
