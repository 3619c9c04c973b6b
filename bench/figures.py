"""All that one run found, and the middle of any part of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.measure import Footprint, Sample


class Run(msgspec.Struct):
    """All that one command found. refused: why a server was not measured. checked: its wrong answers before any load."""

    command: str
    day: str = msgspec.field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")
    samples: list[Sample] = []
    feet: dict[str, Footprint] = {}
    refused: dict[str, str] = {}
    checked: dict[str, int] = {}

    def refuse(self, name: str, model: str, reason: str) -> None:
        """It was not measured on one model."""
        self.refused[name] = f"{self.refused[name]}; {model}: {reason}" if name in self.refused else f"{model}: {reason}"

    def write(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, path: Path) -> Run:
        return msgspec.json.decode(path.read_bytes(), type=cls)


class Figures:
    """All samples of a run, to be asked for the middle and the range of a few of them."""

    def __init__(self, samples: Iterable[Sample]):
        self.samples = list(samples)

    def of(self, **wanted: object) -> list[Sample]:
        return [one for one in self.samples if all(getattr(one, key) == value for key, value in wanted.items())]

    def shown(self, **wanted: object) -> list[Sample]:
        """Those in which anything was answered at all."""
        return [one for one in self.of(**wanted) if one.errors < one.requests]

    def median(self, field: str, **wanted: object) -> float | None:
        """None where nothing was measured."""
        values = [getattr(one, field) for one in self.of(**wanted) if one.is_good]
        return statistics.median(values) if values else None

    def names(self, **wanted: object) -> list[str]:
        return list(dict.fromkeys(one.name for one in self.of(**wanted)))

    def ratio(self, name: str, other: str, **wanted: object) -> float | None:
        """How many times the CPU of ``other`` ``name`` takes: the median of the ratios within each round."""
        pairs = zip(self.of(name=name, **wanted), self.of(name=other, **wanted))
        ratios = [one.cpu / two.cpu for one, two in pairs if two.cpu and one.is_good and two.is_good]
        return statistics.median(ratios) if ratios else None
