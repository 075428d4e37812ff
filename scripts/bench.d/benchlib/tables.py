"""Tables as text and as Markdown."""


def text(head: list[str], rows: list[list[str]]) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    return "\n".join(line.rstrip() for line in _aligned([head, *rows], "  "))


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table of GitHub's Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in [head, *rows]]
    lines.insert(1, "|---|" + "---:|" * (len(head) - 1))
    return "\n".join(lines)


def _aligned(rows: list[list[str]], gap: str) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        gap.join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    ]
