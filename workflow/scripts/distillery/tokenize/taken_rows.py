"""Which rows of files are taken: all, the first so many, or one of several spans of a file that jobs read side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from distillery.tokenize.parts import Block
from distillery.tokenize.readers import Reader, Source, Span
from distillery.tokenize.row_spans import UUID


def spans(
    sources: list[Source],
    columns: list[str],
    most: int | None,
    processes: int = 1,
    skip: int = 0,
    dotted_too: Sequence[str] = (),
) -> Iterator[Span]:
    """All files in order, without their first `skip` rows, and of the others the first `most` if given; columns as `Source.check`."""
    left = most
    if left == 0:
        return
    for source in sources:
        for span in source.spans(source.check(columns, (UUID,), dotted_too), processes):
            passed = min(span.count, skip)
            skip -= passed
            if passed == span.count:
                continue
            span = _cut(span, passed, span.count if left is None else min(span.count, passed + left))
            if left is not None:
                left -= span.count
            yield span
            if left == 0:
                return


def window(source: Source, number: int, total: int) -> tuple[int, int]:
    """(rows before it, its rows) of span `number` of `total` about equal ones, 1 being the first. A text is read to count its rows."""
    rows = source.rows()
    first, end = (rows * place // total for place in (number - 1, number))
    return first, end - first


def blocks(sources: list[Source], columns: list[str], most: int | None) -> Iterator[Block]:
    """The same, read."""
    with Reader() as reader:
        for span in spans(sources, columns, most):
            yield from (Block(span.path.name, first, rows) for first, rows in reader.blocks(span))


def _cut(span: Span, first: int, end: int) -> Span:
    """Its rows from one number to before another, counted within it."""
    return span._replace(
        first=span.first + first,
        count=end - first,
        skip=span.skip + first,
        rows=span.rows and span.rows[first:end],
    )
