"""Tables for people who look on; programs ask for --json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, cast

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.table import Table

FILE_WIDTH = 160


def show(out: OutputWrapper, title: str, columns: Sequence[str], rows: Iterable[tuple[Sequence[object], str]]) -> None:
    """Print rows `(cells, style)`, as wide as the terminal, or 160 characters into a file."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for cells, style in rows:
        table.add_row(*(str(cell) for cell in cells), style=style)
    Console(file=cast(IO[str], out), width=None if out.isatty() else FILE_WIDTH).print(table)
