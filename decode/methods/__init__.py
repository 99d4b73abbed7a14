"""Decoding methods: from conditions that maps predict, or from voxels themselves, to pictures or sounds; one file each.

A file ends in `ENTRIES = (...)`; an entry carries its card, its settings and the rows it adds, and opens a `Decoder`:

    method = CATALOGUE["takagi"]
    own = settings.method("takagi")
    decoder = method.decoder(method.open(run, settings, true=true), settings, own, seconds=0.0)
    for drawn in decoder.draw(decoder.conditions(ladder, "decoded", ids), ids, seeds): ...

Most draw with a generator of `pipelines/generators/` (`_parts/generated.py`). Stages ask this catalogue and name none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from brain.catalogue import Catalogue
from brain.errors import UsageError, expected
from brain.types import Recording, Responses, Split
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder
from decode.run.settings import MapSettings, Settings, maps_of, methods_asked
from decode.run.showing import Show, Sounds
from encoders.conditions import Conditions
from evaluation.samples.rows import RowCard
from pipelines.drawing import Drawn, Glimpse, Watch

Take = Callable[[Responses], Responses]
"""Chooses among a stimulus' repeats."""


class Draw(Protocol):
    """(conditions, ids, seeds) -> samples; `watch` is called at every step of a denoising loop, where there is one."""

    def __call__(
        self,
        conditions: Mapping[str, Conditions],
        ids: Sequence[str],
        seeds: Sequence[int],
        *,
        watch: Watch | None = None,
    ) -> Iterator[Drawn]: ...


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """An opened method: conditions in, samples out, shown as the references are.

    method      its name
    show        how stimuli look or sound beside its samples
    draw        (conditions, ids, seeds) -> samples; `prior` (ids, seeds) the same without any condition, or None
    round_trip  what was shown, through the generator's autoencoder and back, or None
    facts       for a card
    maps        space -> name of the map that it is read from
    beside      (ladder, row, stimuli) -> conditions that it takes besides
    previews    what a step predicts: RGB pictures, log-mels (frame, mel) of sounds; None: nothing is denoised
    """

    method: str
    show: Show
    draw: Draw
    prior: Callable[[Sequence[str], Sequence[int]], Iterator[Drawn]] | None
    round_trip: Callable[[Sequence[Any]], Iterator[Any]] | None
    facts: dict[str, Any]
    maps: Mapping[str, str]
    beside: Callable[[Ladder, str, Sequence[str]], dict[str, Conditions]] = lambda ladder, row, stimuli: {}
    previews: Callable[[Glimpse], list[Any]] | None = None

    def conditions(self, ladder: Ladder, row: str, stimuli: Sequence[str]) -> dict[str, Conditions]:
        """Space -> what `row` draws these stimuli from."""
        read = ladder.conditions(row, stimuli, tuple(self.maps.values()))
        return {space: read[name] for space, name in self.maps.items()} | self.beside(ladder, row, stimuli)

    def made(self, drawn: Drawn) -> Any:
        """The sample as it is stored: the picture, or the sound cut to the references' length; None if withheld."""
        if isinstance(self.show, Sounds):
            return None if drawn.wave is None else drawn.wave[: self.show.samples]
        return drawn.image


@dataclass(frozen=True, kw_only=True)
class RowTask:
    """What a row of a method's own is drawn from.

    run, recording, folds  of the fitted run; settings: the run's; own: the method's
    tested                 the responses to test stimuli, with voxels of silenced regions at their training mean: what
                           a row reads of a test stimulus it reads here
    decoder, ladder        opened
    asked                  (stimulus, index) of the samples that are missing
    """

    run: RunFolder
    recording: Recording
    tested: Responses
    folds: tuple[Split, ...]
    settings: Settings
    own: Any
    decoder: Decoder
    ladder: Ladder
    asked: Sequence[tuple[str, int]]
    watch: Watch | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A sample of such a row: what was drawn, its index, and of how many samples it is the best."""

    drawn: Drawn
    index: int
    candidates: int = 1


DrawRow = Callable[[RowTask], Iterator[Kept]]


class Method(Protocol):
    """An entry.

    name, title, description, citation   its card
    needs, takes   spaces that it cannot draw without, and those that it uses where they are decoded
    stack          whether it draws with networks of the run's stack
    learns         whether it learns anything besides maps; `trains`: a network, which reads z-scores and one split
    settings       an instance of its own frozen settings: the defaults, and only what it reads
    rows           cards of the rows that it adds; the first is its row where it stands beside another method
    drawn          row -> how it draws that row, for rows that are not drawn from one row of conditions
    lacks          row of the ladder -> why it cannot draw it
    keeps          space of what it reads besides maps, where a run stores that of its test stimuli; "" where not
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def takes(self) -> tuple[str, ...]: ...
    @property
    def stack(self) -> bool: ...
    @property
    def learns(self) -> bool: ...
    @property
    def trains(self) -> bool: ...
    @property
    def settings(self) -> Any: ...
    @property
    def rows(self) -> tuple[RowCard, ...]: ...
    @property
    def drawn(self) -> Mapping[str, DrawRow]: ...
    @property
    def lacks(self) -> Mapping[str, str]: ...
    @property
    def keeps(self) -> str: ...

    def check(self, settings: Settings, own: Any) -> None:
        """Refuses settings that cannot end well, by names and the stack's configuration alone."""

    def regions(self, own: Any) -> Mapping[str, tuple[str, ...]]:
        """Flag -> regions that it reads itself, besides maps."""

    def models(self, own: Any) -> Mapping[str, str]:
        """Space without a component of the stack -> which form of it these settings choose."""

    def learn(self, run: RunFolder, recording: Recording, fold: Split, settings: Settings, own: Any) -> dict[str, Any]:
        """Learns what it needs besides maps, in `run.learned(name)`, or finds it there; facts by their card's path."""

    def patterns(self, run: RunFolder, recording: Recording, *, stimuli: set[str], take: Take) -> Conditions | None:
        """What it reads of these test stimuli besides maps, under the space's own name; None where it does not.

        recording  with regions silenced it holds the trials of these stimuli alone
        """

    def open(self, run: RunFolder, settings: Settings, *, true: Mapping[str, Conditions]) -> Any:
        """Its networks in memory, which no setting of its own changes; `true`: map -> true conditions."""

    def decoder(self, opened: Any, settings: Settings, own: Any, *, seconds: float) -> Decoder:
        """What was opened, as these settings let it draw; `seconds`: how long sounds are that were heard, 0 unknown."""

    def finish(self, run: RunFolder, settings: Settings) -> None:
        """What is computed of its samples once all are drawn."""


CATALOGUE: Catalogue[Method] = Catalogue("decode.methods", "decoding method")


@dataclass(frozen=True, kw_only=True)
class Plain:
    """What most methods answer: nothing is learned or read besides maps, every row of the ladder can be drawn."""

    name: str
    title: str
    description: str
    citation: str = ""
    settings: Any
    rows: tuple[RowCard, ...] = ()
    drawn: Mapping[str, DrawRow] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    keeps: str = ""
    stack: bool = True
    trains: bool = False

    @property
    def learns(self) -> bool:
        """Whether its file says what it learns."""
        return type(self).learn is not Plain.learn

    def regions(self, own: Any) -> Mapping[str, tuple[str, ...]]:
        """None."""
        return {}

    def models(self, own: Any) -> Mapping[str, str]:
        """None."""
        return {}

    def learn(self, run: RunFolder, recording: Recording, fold: Split, settings: Settings, own: Any) -> dict[str, Any]:
        """Nothing."""
        return {}

    def patterns(self, run: RunFolder, recording: Recording, *, stimuli: set[str], take: Take) -> Conditions | None:
        """Nothing."""
        return None

    def finish(self, run: RunFolder, settings: Settings) -> None:
        """Nothing."""


def read_from(maps: MapSettings, spaces: Sequence[str], *, method: str = "") -> dict[str, str]:
    """Space -> name of the map that it is read from: METHOD-SPACE, else that of the space's name, or the only one.

    Spaces that no map predicts are left out; several maps of other names into one space are a UsageError.
    """
    specs = maps_of(maps)
    found = {}
    for space in spaces:
        own = specs.get(f"{method}-{space}")
        if own is not None and own.space == space:
            found[space] = own.name
            continue
        into = [spec for spec in specs.values() if spec.space == space]
        named = any(spec.name == space for spec in into)
        if len(into) > 1 and not named:
            names = ", ".join(spec.name for spec in into)
            then = f"call the one to draw from {space}"
            raise UsageError(expected("--maps", f"one map called {space}", f"{names}, all into it", then))
        if into:
            found[space] = space if named else into[0].name
    return found


def check_method(method: Method, settings: Settings, own: Any) -> None:
    """Refuses (UsageError) a run without a stack where the method draws with one, and what the method refuses."""
    if method.stack and not settings.maps.stack:
        then = "add --stack miniature-image, for one; `afterimage list stacks` shows them"
        raise UsageError(expected("--stack", f"a stack, with which method {method.name} draws", "none", then))
    method.check(settings, own)


def maps_read(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Row -> the maps that it is drawn from: "decoded" by the run's method, and those of methods beside it."""
    read = [
        tuple(read_from(settings.maps, (*method.needs, *method.takes), method=method.name).values())
        for method, _ in own_of(settings)
    ]
    rows = ["decoded", *(row_of(method.name) for method, _ in list(own_of(settings))[1:])]
    return dict(zip(rows, read, strict=True))


def row_of(method: str) -> str:
    """The row that a method beside the main one draws."""
    rows = CATALOGUE[method].rows
    return rows[0].name if rows else method.removeprefix("sound-").replace("-", "_")


def own_of(settings: Settings) -> Iterator[tuple[Method, Any]]:
    """Every method that is asked for, with its settings: the run's own first, then those beside it."""
    for name in methods_asked(settings):
        yield CATALOGUE[name], settings.method(name)


def present_cards(settings: Settings) -> tuple[RowCard, ...]:
    """The cards of those rows asked for that methods of this installation add, which need not have all of a run's."""
    names = [name for name in methods_asked(settings) if name in CATALOGUE.names()]
    asked = {*settings.sampling.rows, *map(row_of, names)}
    return tuple(card for name in names for card in CATALOGUE[name].rows if card.name in asked)


def row_cards(settings: Settings) -> tuple[RowCard, ...]:
    """The cards of those rows asked for that methods add."""
    asked = {*settings.sampling.rows, *map(row_of, settings.sampling.beside)}
    return tuple(card for method, _ in own_of(settings) for card in method.rows if card.name in asked)


