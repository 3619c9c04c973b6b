"""Rows like those of the training, and less and less like them: what a compiled form is tried on."""

from __future__ import annotations

from collections.abc import Callable
from random import Random as Chance
from typing import Any

import numpy as np

from tepal.signature import Column
from tepal.table import Array, Table

Random = np.random.Generator

# Texts that no training is likely to hold, and that a careless comparison takes for one that it does.
ODD_TEXTS = ("", " ", "\N{REPLACEMENT CHARACTER} never seen", "nan", "None", "0", "ÉÈ ß İ", "a" * 300)
SIGNS = (
    *" \t\n.,;:!?-_'\"()&%$#@/\\",
    "\N{NO-BREAK SPACE}",
    "ß",
    "İ",
    "ﬁ",
    "é",
    "E\N{COMBINING ACUTE ACCENT}",
    "你好",
    "🙂",
)


# Whole numbers of each magnitude, and those around which one of fewer bits wraps, or is rounded.
_BOUNDS = [2**bits + more for bits in (15, 16, 31, 32, 53) for more in (-1, 1)]
LARGE = [sign * value for value in (*(10**digits for digits in range(2, 19)), *_BOUNDS) for sign in (1, -1)]


def perturbed(table: Table, rows: int, random: Random) -> Table:
    """So many rows, made of those of ``table``: each cell kept, moved a little or a lot, rounded, exchanged or left out."""
    chosen = random.integers(0, len(table), rows)
    columns = [_moved(column, array, array[chosen], random) for column, array in zip(table.signature.columns, table.columns)]
    return Table.from_columns(table.signature, columns)


def extreme(table: Table, rows: int, random: Random) -> Table:
    """Rows of ``table`` in each of which one number is of a magnitude that no training holds."""
    chosen = random.integers(0, len(table), rows)
    columns = [array[chosen] for array in table.columns]
    numeric = [at for at, column in enumerate(table.signature.columns) if column.type in ("number", "integer")]
    for row in range(rows if numeric else 0):
        at = int(random.choice(numeric))
        if columns[at].dtype.kind == "f":
            sign, exponent = random.choice([-1.0, 1.0]), random.uniform(-320, 308.2)
            columns[at][row] = sign * 10.0**exponent
        else:
            limits = np.iinfo("int64" if columns[at].dtype == object else columns[at].dtype)
            held = [value for value in LARGE if limits.min <= value <= limits.max]
            columns[at][row] = [*held, limits.min, limits.max, limits.max // 3][random.integers(len(held) + 3)]
    return Table.from_columns(table.signature, columns)


def _moved(column: Column, seen: Array, cells: Array, random: Random) -> Array:
    move: Callable[..., Array]
    if column.type == "number":
        move = _numbers
    elif column.type == "integer":
        move = _integers
    elif column.type == "string":
        move = _texts
    else:
        move = _exchanged  # booleans and datetimes
    moved = move(column, seen, cells, random)
    if column.nullable:
        away = random.random(len(moved)) < 0.05
        moved[away] = {"f": np.nan, "M": np.datetime64("NaT"), "O": None}[moved.dtype.kind]
    return moved


def _numbers(column: Column, seen: Array, cells: Array, random: Random) -> Array:
    present = seen[~np.isnan(seen)]
    low, high = (float(present.min()), float(present.max())) if present.size else (0.0, 1.0)
    spread, rows = (high - low) or max(abs(high), 1.0), len(cells)
    inside = random.uniform(-0.5, 1.5, rows)
    with np.errstate(all="ignore"):
        ways = [
            cells,
            cells + spread * random.normal(size=rows) * 10.0 ** random.uniform(-12, 0, rows),
            low + inside * spread,
            seen[random.integers(0, len(seen), rows)],
            np.nextafter(random.choice([low, high], rows), random.choice([-np.inf, np.inf], rows)),
            np.nextafter(cells, random.choice([-np.inf, np.inf], rows)),
            np.rint(cells) + random.integers(-1, 2, rows),
            cells.astype(np.float32).astype(np.float64),
            random.choice([0.0, -0.0, 1.0, low, high], rows),
        ]
    moved = np.choose(_ways(random, len(ways), rows), ways)
    finite = np.isfinite(moved) | np.isnan(cells)
    kept: Array = np.where(finite, moved, cells)
    return kept if column.nullable else np.where(np.isnan(kept), low, kept)


def _integers(column: Column, seen: Array, cells: Array, random: Random) -> Array:
    low, high = int(column.minimum or 0), int(column.maximum or 0)
    reach, rows = min(max(high - low, 1), 2**40), len(cells)
    near = random.random(rows) < 0.5
    steps = np.where(near, random.integers(-2, 3, rows), random.integers(-reach, reach + 1, rows))
    steps[random.random(rows) < 0.4] = 0
    least = 0 if seen.dtype.kind == "u" else -(2**62)
    moved = [
        None if value is None else min(max(value + step, least), 2**62) if step else value
        for value, step in zip(cells.tolist(), steps.tolist())
    ]
    return np.array(moved, dtype=cells.dtype)


def _texts(column: Column, seen: Array, cells: Array, random: Random) -> Array:
    moved = cells.copy()
    if column.categories is None:
        chance = Chance(int(random.integers(2**32)))
        words = sorted({word for text in seen[:500].tolist() if text is not None for word in text.split()}) or [""]
        for row, text in enumerate(cells.tolist()):
            moved[row] = _text(text or "", words, chance)
        return moved
    others = list(column.categories)
    if column.unseen == "warn":
        others += [*ODD_TEXTS, *(text.upper() for text in others[:20]), *(f"{text} " for text in others[:20])]
    changed = random.random(len(moved)) < 0.5
    moved[changed] = np.array(others, dtype=object)[random.integers(0, len(others), int(changed.sum()))]
    return moved


def _text(text: str, words: list[str], chance: Chance) -> str:
    """A text of the training, some of its words and of others', or something odd."""
    way = chance.randrange(8)
    if way < 3:
        own = [*text.split(), *chance.choices(words, k=3)]
        return " ".join(chance.sample(own, chance.randint(0, len(own))))
    if way == 3:
        return " ".join(chance.choices(words, k=chance.randint(1, 30)))
    if way == 4:
        at = chance.randint(0, len(text))
        return f"{text[:at]}{chance.choice(SIGNS)}{text[at + chance.randint(0, 2) :]}"
    if way == 5:
        return f"{(text.upper, text.lower, text.title)[chance.randrange(3)]()}"
    return f"{chance.choice(ODD_TEXTS)}{text}" if way == 6 else text


def _exchanged(column: Column, seen: Array, cells: Array, random: Random) -> Array:
    exchanged = random.random(len(cells)) < 0.5
    others: Any = seen[random.integers(0, len(seen), len(cells))]
    found: Array = np.where(exchanged, others, cells).astype(cells.dtype)
    return found


def _ways(random: Random, count: int, rows: int) -> Array:
    """Which of so many ways each cell goes; the first, which keeps it, in a third of the cases."""
    return np.where(random.random(rows) < 1 / 3, 0, random.integers(0, count, rows))
