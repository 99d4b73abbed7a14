"""What the demo shows, as values: work that goes on, one stimulus, what was drawn, synthesized and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.demo.looks import (
    Chart,
    Tile,
)
from decode.stages.draw.steps import Step


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far long work is.

    state    "waiting", "running", "done", "stopped", "failed", or "left" where nobody wants to hear of it
    what     one line on what is being done, or what went wrong
    step, steps, left   steps done, of how many, and the seconds that are probably left, -1 where nobody knows
    """

    state: str
    what: str
    step: int = 0
    steps: int = 0
    left: float = -1


@dataclass(frozen=True, kw_only=True)
class SurfaceView:
    """A pattern on the mesh that the page has: texts of `app.demo.surface`, and the regions in the order of their bits.

    scale, ends   the colours as stops of a gradient, and what stands at their ends
    """

    values: str
    masks: str
    regions: tuple[str, ...]
    scale: str
    ends: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class BrainView:
    """What the brain gave to a stimulus: (region, mean z, width of its bar from -100 to 100, voxels), and pictures.

    space, why   the name of the space, and one sentence on what is shown of it
    surface      the pattern on a surface, None where it has no place on one; glass: a picture of a glass brain, or ""
    run, choosable   the run, and those of its regions that can be clicked for synthesis
    """

    bars: tuple[tuple[str, str, float, int], ...]
    slices: tuple[str, ...]
    note: str
    space: str = ""
    why: str = ""
    surface: SurfaceView | None = None
    glass: str = ""
    run: str = ""
    choosable: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RankView:
    """Where the true stimulus stands in the pool, and what the decode is most similar to."""

    sentence: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class DecodeView:
    """One test stimulus: shown, decoded, its controls, what the brain gave, where it stands.

    waiting  what is still being opened, "" once all is there; link: the address of the demo in this state
    """

    stimulus: str
    place: int
    count: int
    captions: tuple[str, ...]
    labels: tuple[str, ...]
    seen: tuple[Tile, ...]
    decoded: tuple[Tile, ...]
    controls: tuple[Tile, ...]
    scores: tuple[tuple[str, str, str, str, str], ...]
    brain: BrainView | None
    rank: RankView | None
    missing: tuple[str, ...]
    waiting: str
    reads: str
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class DrawView:
    """A drawing that runs, or is done: `command` draws the very same files, `badge` says whose brain it is.

    silenced  the regions whose voxels stood at their training mean; link: the address of the demo in this state
    """

    progress: Progress
    tiles: tuple[Tile, ...] = ()
    rank: RankView | None = None
    command: str = ""
    badge: str = ""
    silenced: tuple[str, ...] = ()
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class CompareView:
    """One test stimulus in two runs.

    sides   (run, whose brain, what run it is, its tiles) each
    scores  (title, meaning, the stimulus' score in each run, the mean in each run and n and chance below it)
    apart   why numbers of the second run are missing, a sentence each
    command the command that writes both runs on one page; link: the address of the demo in this state
    """

    stimulus: str
    place: int
    count: int
    captions: tuple[str, ...]
    seen: tuple[Tile, ...]
    sides: tuple[tuple[str, str, str, tuple[Tile, ...]], ...]
    scores: tuple[tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]], ...]
    apart: tuple[str, ...]
    command: str
    link: str


@dataclass(frozen=True, kw_only=True)
class SynthesisView:
    """A synthesis that runs, or is done.

    chart   the predicted activation of every picture over steps; about: of which region
    scores  (scorer, (value, percentile) of each picture), once it is done
    """

    progress: Progress
    tiles: tuple[Tile, ...] = ()
    chart: Chart | None = None
    about: str = ""
    scores: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    badge: str = ""


@dataclass(frozen=True, kw_only=True)
class JudgeView:
    """The ladder of a run, as the report draws it."""

    panels: tuple[Any, ...]
    table: Mapping[str, Any]
    geometry: Mapping[str, float]
    note: str


@dataclass(frozen=True, kw_only=True)
class SortedView:
    """Stimuli in the order of a score: (stimulus, score, its tiles) each."""

    title: str
    meaning: str
    first: int
    count: int
    strips: tuple[tuple[str, str, tuple[Tile, ...]], ...]


class Trajectories:
    """The objective's trajectory of every picture, step by step, in the loop that is going on."""

    def __init__(self) -> None:
        self.values: list[list[float]] = []
        self._last: Step | None = None

    def add(self, step: Step | None) -> Trajectories:
        """Takes a step in; one that was reported before, because nothing is new, changes nothing."""
        if step is None or step is self._last or not step.values:
            return self
        if self._last is None or step.step <= self._last.step:
            self.values = [[] for _ in step.values]  # another loop of the same method begins
        self._last = step
        for trajectory, value in zip(self.values, step.values, strict=True):
            trajectory.append(value)
        return self
