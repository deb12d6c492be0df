"""The mapping, read from the packaged ``frames.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Frame:
    """One of the field's frames: id, title, edition, where it is published."""

    id: str
    title: str
    edition: str
    source: str


@dataclass(frozen=True)
class Item:
    """One item of a frame, by the frame's own number, and what it is about."""

    id: str
    title: str


@dataclass(frozen=True)
class Mapped:
    """What one control speaks to.

    Attributes:
        control: name of the control, or slug of the predicate.
        title: what people call it.
        about: ``dataset`` or ``model``: what it looks at.
        speaks_to: frame -> items; a frame that it doesn't speak to is absent.
    """

    control: str
    title: str
    about: str
    speaks_to: dict[str, tuple[Item, ...]]


@dataclass(frozen=True)
class Mapping:
    """All of it: the frames in order, the controls in order."""

    frames: tuple[Frame, ...]
    controls: tuple[Mapped, ...]

    def of(self, control: str) -> Mapped | None:
        """What is known of a control."""
        return next((mapped for mapped in self.controls if mapped.control == control), None)


@cache
def load() -> Mapping:
    """Read the mapping.

    Raises:
        ValueError: if a control speaks to a frame that isn't there.
    """
    value = json.loads((files("airflow_mlsecops.core.compliance") / "frames.json").read_text(encoding="utf-8"))
    frames = tuple(Frame(**each) for each in value["frames"])
    known = {frame.id for frame in frames}
    controls = []
    for each in value["controls"]:
        unknown = each["speaks_to"].keys() - known
        if unknown:
            raise ValueError(f"{each['control']} speaks to {', '.join(sorted(unknown))}")
        items = {frame: tuple(Item(*item) for item in listed) for frame, listed in each["speaks_to"].items()}
        controls.append(Mapped(each["control"], each["title"], each["about"], items))
    return Mapping(frames, tuple(controls))
