"""Figures, and how they are shown: a table for people, JSON for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured thing. `target` with `is_met`, or neither where nothing has to be reached."""

    section: str
    name: str
    value: float
    unit: str
    target: str = ""
    is_met: bool | None = None
    note: str = ""


@dataclass
class Report:
    """Collects figures and says each as it comes."""

    size: str
    figures: list[Figure] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    section: str = ""

    def tell(self, name: str, value: float, unit: str, note: str = "") -> float:
        """A figure without a target."""
        return self._add(Figure(self.section, name, value, unit, note=note))

    def at_least(self, name: str, value: float, unit: str, target: float, note: str = "") -> float:
        is_met = value >= target
        return self._add(Figure(self.section, name, value, unit, f">= {shown(target)}", is_met, note))

    def at_most(self, name: str, value: float, unit: str, target: float, note: str = "") -> float:
        is_met = value <= target
        return self._add(Figure(self.section, name, value, unit, f"<= {shown(target)}", is_met, note))

    def skip(self, why: str) -> None:
        self.skipped[self.section] = why
        print(f"  skipped: {why}", flush=True)

    def _add(self, figure: Figure) -> float:
        self.figures.append(figure)
        print("  " + line(figure), flush=True)
        return figure.value

    def table(self) -> str:
        """What has a target, then what was left out."""
        rows = [
            (f.section, f.name, f"{shown(f.value)} {f.unit}".strip(), f.target, "met" if f.is_met else "NOT MET")
            for f in self.figures
            if f.is_met is not None
        ]
        head = ("section", "figure", "measured", "target", "")
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(5)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in [head, *rows]]
        lines.insert(1, "  ".join("-" * width for width in widths))
        lines += [f"{section} was skipped: {why}" for section, why in self.skipped.items()]
        if self.size == "quick":
            lines.append("Quick: small sizes and short times, so all of this is only indicative.")
        return "\n".join(each.rstrip() for each in lines)

    def write(self, path: Path, machine: dict[str, Any]) -> None:
        told = {
            "size": self.size,
            "machine": machine,
            "figures": [asdict(figure) for figure in self.figures],
            "skipped": self.skipped,
        }
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def shown(value: float) -> str:
    """Three digits that matter."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def line(figure: Figure) -> str:
    target = f"   (target {figure.target}: {'met' if figure.is_met else 'NOT MET'})" if figure.target else ""
    note = f"   [{figure.note}]" if figure.note else ""
    return f"{figure.name}: {shown(figure.value)} {figure.unit}{target}{note}"
