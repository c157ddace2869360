"""What the program found out about a recording or its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """What is odd about a subject, why it matters and what to do; `docs/findings.md` explains each code."""

    code: str
    """What the finding is about, such as ``frames.blank``."""
    severity: Literal["note", "warning", "failure"]
    """How much the finding matters: good to know; results may be wrong; the subject cannot be processed."""
    neurons: int
    """Number of neurons that the finding concerns; 0 for none in particular."""
    frames: int
    """Number of frames that the finding concerns; 0 for none in particular."""
    share: float
    """Share of the neurons, or of what the code names instead, 0 to 1."""
    first_neuron: int | None
    """The first of the neurons, counted from 0."""
    message: str
    """What was found, with its numbers."""
    advice: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.severity} {self.code}: {self.message} {self.advice}"


def findings_of(entries: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Make findings of the entries of `report.json`; keys that a later program adds are passed over."""
    return [Finding(**{key: entry[key] for key in Finding.__annotations__}) for entry in entries]
