"""Results of the benchmarks as Markdown tables."""


class Report:
    """Tables by title; each has rows by label, and cells by column."""

    def __init__(self):
        self.tables: dict[str, dict[str, dict[str, str]]] = {}

    def add(self, title: str, row: str, column: str, cell: str) -> None:
        """Write one cell; rows and columns stand in the order in which they first came."""
        self.tables.setdefault(title, {}).setdefault(row, {})[column] = cell

    def text(self) -> str:
        """Return all tables."""
        return "".join(_table(title, rows) for title, rows in self.tables.items())


def _table(title: str, rows: dict[str, dict[str, str]]) -> str:
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    lines = [
        ["", *columns],
        *([row, *(cells.get(column, "") for column in columns)] for row, cells in rows.items()),
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns) + 1)]
    rule = [f"{'-' * widths[0]}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    body = [_line(line, widths) for line in [lines[0], rule, *lines[1:]]]
    return "\n".join(["", title, "", *body, ""])


def _line(cells: list[str], widths: list[int]) -> str:
    first, *rest = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *rest]) + " |"
