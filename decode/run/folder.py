"""The run folder: what lies where, written so that a kill at any moment leaves whole files only.

RUN/settings.json     everything that was asked
RUN/card.json         versions, commit, device, seeds, data facts, splits, spaces, stack, licences
RUN/content.json      digests of the data, which hold others off
RUN/maps/  RUN/learned/METHOD/  RUN/splits/  RUN/conditions/  RUN/samples/  RUN/curves/  RUN/report/
RUN/posteriors/METHOD.json   what a method's posterior says of every test stimulus
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.errors import InputError, UsageError, expected
from brain.machine.arithmetic import changes
from brain.types import LEAVE_OUT
from brain.writing.locks import lock, sweep
from brain.writing.places import only_files
from decode.run.migration import as_stored, settings_from
from decode.run.settings import METHODS, Settings, binding, taken_on
from encoders.storage import read_json, write_json
from evaluation.samples.index import read_rows
from evaluation.samples.rows import REFERENCE
from evaluation.statistics.posteriors import FOLDER as POSTERIORS

BESIDE = ", or draw beside it with `afterimage decode RUN --to FOLDER`"
ENCODED = {"subject", "sessions", "betas", "reader", "fields", "split", "stack"}
"""Settings of a fit that decide which true conditions lie in a run; those of methods may say what they are."""
SIGNS = ("settings.json", "card.json", "synthesis.json")
"""One of them lies in every folder that is a run or was drawn or synthesized beside one."""
LONGEST = 80
"""Bytes of a space's, a split's or a row's name that a file's name repeats: more than two fit into 255."""
PLACES = ("maps", "learned", "splits", "conditions", "samples", "curves", "report", "training", "encoders",
          POSTERIORS)  # fmt: skip
"""Folders of a run that no method of format 1 was called like."""
UNNAMED: tuple[Any, ...] = ("", (), [])
"""Values of settings that name nothing, so that a default is taken."""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _named(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("name", "sha256"))


def _facts(value: Any) -> bool:
    return isinstance(value, dict)


PARTS: Mapping[str, Callable[[Any], bool]] = {
    "splits": lambda value: isinstance(value, list) and all(map(_named, value)),
    "tested": lambda value: isinstance(value, dict) and all(map(_texts, value.values())),
    "fitted": _texts,
    "learners": _texts,
    "repeated": _texts,
    "beside": lambda value: (
        _facts(value) and all(_facts(value.get(one, {})) for one in ("drawn", "decode"))
        and _texts(value.get("silenced", []))
    ),
    "decode": lambda value: _facts(value) and _facts(value.get("maps", {})),
    **dict.fromkeys(("data", "evaluate", "settings", "software"), _facts),
}
"""Parts of a card that are read again -> what they have to be: a card may come from somebody else."""


@dataclass(frozen=True)
class RunFolder:
    """A run's places. Nothing is read or made by naming it."""

    path: Path

    @property
    def settings(self) -> Path:
        """Everything that was asked (`decode/run/settings.py`)."""
        return self.path / "settings.json"

    @property
    def card(self) -> Path:
        """Versions, seeds, facts of data, splits and what was drawn: what made the run."""
        return self.path / "card.json"

    @property
    def content(self) -> Path:
        """The digests of what the run was made of (`decode/run/content.py`)."""
        return self.path / "content.json"

    @property
    def samples(self) -> Path:
        """The folder of samples: an index and one file a sample."""
        return self.path / "samples"

    @property
    def report(self) -> Path:
        """The folder of the report: JSON, page and tables."""
        return self.path / "report"

    def map(self, name: str, split: str) -> Path:
        """Where the map of this name, fitted on the training stimuli of `split`, lies."""
        return self.path / "maps" / f"{self._plain(name)}.{self._plain(split)}.safetensors"

    def conditions(self, name: str, row: str) -> Path:
        """Where conditions lie: row "true" of a space (from stimuli), "decoded" of a map (from the brain), "read" of
        what a method reads besides maps."""
        return self.path / "conditions" / f"{self._plain(name)}.{self._plain(row)}.safetensors"

    def _plain(self, name: str) -> str:
        """The name as part of a file's: where letters were replaced or cut off, a digest keeps it apart from others.

        Runs that noted no content are of a version that had no digests, and keep its names.
        """
        kept = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
        if not self.content.is_file():
            return kept
        short = kept.encode()[:LONGEST].decode(errors="ignore")
        return name if short == name else f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def learned(self, method: str) -> Path:
        """Where what a method has learned besides maps lies; of runs of format 1 a folder of its name."""
        first = self.path / method
        return first if first.is_dir() and method not in PLACES else self.path / "learned" / method

    def has_learned(self, method: str) -> bool:
        """Whether the card says that this method has learned what it learns besides maps."""
        facts = self.card_facts()
        home = f"{self.learned(method).relative_to(self.path)}/"
        return method in facts.get("learners", []) or any(one.startswith(home) for one in facts.get("fitted", []))

    def stored(self) -> tuple[Settings, Path]:
        """The settings this run was made with, and its data. No run here, or a link below it, is an InputError."""
        if os.path.lexists(self.settings):
            only_files(self.path)
        if not self.settings.is_file():
            raise InputError(
                f"{self.path}: expected a run, found a place without settings.json; make one with `afterimage study`"
            )
        stored = read_json(self.settings, kind="run")
        settings = settings_from(stored, where=self.settings)
        return settings, Path(os.path.normpath(self.path / stored["data"]))

    def _noted(self) -> Settings | None:
        """The settings that are stored, None where there are none; of another form they are an InputError."""
        if not self.settings.is_file():
            return None
        return settings_from(read_json(self.settings, kind="run"), where=self.settings)

    def _noted_data(self) -> str:
        """The place of the data as it is stored, "" where none is."""
        noted = read_json(self.settings, kind="run").get("data", "") if self.settings.is_file() else ""
        return noted if isinstance(noted, str) else ""

    def claim(self, settings: Settings, data: Path, stages: Sequence[str]) -> None:
        """Makes the folder this run's, or resumes it; `stages` are those whose `settings` are asked for now.

        What `must_accept` refuses is refused before anything is written. The data are stored relative to the run, so
        that both can move together. What lies there of other settings without binding them is made anew.
        """
        stored = self.must_accept(settings, data, stages)
        self._clear(settings)
        whole = settings.whole() if stored is None else taken_on(settings.whole(), stored, stages)
        write_json(self.settings, as_stored(whole, _relative(data, self.path)))

    def must_accept(self, settings: Settings, data: Path, stages: Sequence[str]) -> Settings | None:
        """The settings that bind this run, as they are stored; None where nothing was made that could bind it.

        Another recipe and another setting that could change what is done already are a UsageError that names it, as is
        a folder that holds something else. Data at another place are, of a run that has not noted its content.
        """
        stored: Settings | None = None
        if self.settings.is_file():
            if self._begun("fit"):
                stored = self._noted()
                assert stored is not None
                self._same(stored, settings, data=data, stages=stages)
        elif self.path.is_dir() and any(child.name != ".lock" for child in self.path.iterdir()):
            raise UsageError(
                f"{self.path}: expected an empty folder or a run, found a folder with other files; choose another --out"
            )
        return stored

    def has_its_data_at(self, data: Path) -> bool:
        """Whether `data` is the place that the run has noted for its data."""
        return (self.path / self._noted_data()).resolve() == data.resolve()

    def _clear(self, settings: Settings) -> None:
        """Removes what was made for a mapping or a sample, of settings that are no longer asked for.

        True conditions and references are that: made again in less time than it takes to say why they bind a run.
        """
        conditions = self.path / "conditions"
        if not self._begun("fit"):
            # made after mappings: without one they are another fit's
            for name in ("conditions/null.json", "report/regions.json", "report/maps/accuracy.nii.gz"):
                (self.path / name).unlink(missing_ok=True)
            self._remove(self.path / POSTERIORS)
        stored = self._noted()
        if stored is None:
            return
        changed = [] if self._begun("fit") else list(differences(stored, settings, "fit"))
        if conditions.is_dir() and any(name in ENCODED or part.startswith("methods/") for part, name, _, _ in changed):
            shutil.rmtree(conditions)
        if not self._begun("decode") and any(differences(stored, settings, "decode")):
            for row in ("decoded", "generated", "read"):
                for path in conditions.glob(f"*.{row}.safetensors"):
                    path.unlink()
            self._remove(self.samples, self.path / POSTERIORS)

    @staticmethod
    def _remove(*folders: Path) -> None:
        for folder in folders:
            if folder.is_dir():
                shutil.rmtree(folder)

    def _same(self, stored: Settings, settings: Settings, *, data: Path, stages: Sequence[str]) -> None:
        if stored.recipe != settings.recipe:
            self._refuse("recipe", stored.recipe, settings.recipe)
        for stage in stages:
            if self._begun(stage):
                for part, name, old, new in differences(stored, settings, stage):
                    if stage == "fit" and self._nothing_learned(part, settings):
                        continue
                    then = BESIDE if drawn_apart(stage, name) else ""
                    self._refuse(name, old, new, then)
        if "fit" in stages and not self.content.is_file() and not self.has_its_data_at(data):
            self._refuse("data", self._noted_data(), _relative(data, self.path))

    def _nothing_learned(self, part: str, settings: Settings) -> bool:
        """Whether this part is of a method whose settings decide nothing but a learning that has not begun."""
        section, _, name = part.partition("/")
        if section != "methods" or not METHODS[name].learns or METHODS[name].models(settings.methods[name]):
            return False
        return not self.has_learned(name) and not self.learned(name).exists()

    def _begun(self, stage: str) -> bool:
        """Whether results of that stage may be there; a report is written anew, so evaluation binds nothing.

        True conditions bind no fit and references no drawing: nothing was mapped or drawn yet.
        """
        drawn = any(sample.row != REFERENCE for sample in read_rows(self.samples))
        fitted = drawn or self.mapped
        return {"machine": fitted, "fit": fitted, "decode": drawn, "evaluate": False}[stage]

    @property
    def mapped(self) -> bool:
        """Whether a mapping was fitted, or a network's training begun."""
        return any((self.path / name).exists() for name in ("maps", "training"))

    def _refuse(self, name: str, old: object, new: object, then: str = "") -> None:
        was = repr(old) if old not in UNNAMED else self._default(name)
        asked = repr(new) if new not in UNNAMED else "the default"
        raise UsageError(
            f"{self.path}: this run was made with {name} {was} and is now asked for {asked}; "
            f"ask for the same, or choose another --out{then}"
        )

    def _default(self, name: str) -> str:
        """What was taken where this setting was left out, as the card says it: "'tenth-by-hash', the default"."""
        facts = self.card_facts()
        data, splits = facts.get("data", {}), [split["name"] for split in facts.get("splits", [])]
        family = LEAVE_OUT if len(splits) > 1 else "".join(splits)
        taken = {"split": family, "subject": data.get("subject"), "reader": data.get("reader")}.get(name)
        return f"{taken!r}, the default," if taken else "the default"

    def card_facts(self) -> dict[str, Any]:
        """What the card says so far; nothing where there is none yet. A card of other parts is an InputError."""
        facts = read_json(self.card, kind="run") if self.card.exists() else {}
        for name, fits in PARTS.items():
            if name in facts and not fits(facts[name]):
                found, then = f"other values under {name!r}", "put the card back, or fit again into another --out"
                raise InputError(expected(self.card, "the card of a run", found, then))
        if facts.get("fitted") and "tested" not in facts:
            then = "put the card back, or fit again into another --out"
            raise InputError(expected(self.card, "the card of a fitted run", "one without 'tested'", then))
        return facts

    def simulated(self) -> str:
        """What simulated the run's brain, "" for a recorded one and for cards that do not say it."""
        return str(self.card_facts().get("simulated", ""))

    def add_to_card(self, facts: dict[str, Any]) -> None:
        """Merges `facts` into the card, whole or not at all."""
        write_json(self.card, {**self.card_facts(), **facts})

    def add_arithmetic(self, stage: str, facts: dict[str, Any], *, begun: bool = False) -> None:
        """Notes on the card what computes this stage from now on (`brain.machine.arithmetic`), after what did before.

        Says so where that was another, or, of a stage that has `begun`, unknown. A card whose list is none is an
        InputError.
        """
        known = self.card_facts().get("arithmetic", {})
        before = known.get(stage, []) if isinstance(known, dict) else known
        if not isinstance(before, list) or not all(isinstance(one, dict) for one in before):
            then = "take the entry out of the file"
            raise InputError(expected(self.card, f"a list of facts under arithmetic, {stage}", str(before)[:60], then))
        before = before or ([{"unknown": "computed by a version that did not note it"}] if begun else [])
        other = changes(before[-1], facts) if before else []
        if before and not other:
            return
        self.add_to_card({"arithmetic": {**known, stage: [*before, facts]}})
        if other:
            print(
                f"{self.path}: {stage} began with other {'; '.join(other)}: what is there and what follows may differ "
                f"in their last digits, see docs/howto/reproducibility.md; {self.card.name} names both"
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run for this process and sweeps it; refuses what `brain.writing.locks.lock` does, and links."""
        ours = any(os.path.lexists(self.path / name) for name in SIGNS)
        if ours:
            only_files(self.path)
        with lock(self.path):
            if ours:  # of a folder with other files we have nothing to remove
                sweep(self.path, below=True)
            yield


def differences(stored: Settings, settings: Settings, stage: str) -> Iterator[tuple[str, str, Any, Any]]:
    """Part, name, old and new value of each setting that binds this stage, is not free, and differs.

    Of a method beside another only what both have is compared: methods may come and go.
    """
    old, new = binding(stored, stage), binding(settings.whole(), stage)
    for part, name in new:
        if (part, name) in old and old[part, name] != new[part, name]:
            yield part, name, old[part, name], new[part, name]


def drawn_apart(stage: str, name: str) -> bool:
    """Whether another value of this setting can be drawn with beside a run that was fitted without it."""
    return stage == "decode" or (stage == "machine" and name == "seed")


def _relative(data: Path, run: Path) -> str:
    """The path from the run to its data; of data that are a link, to the link: what lies beside it belongs to it."""
    data = data.absolute()
    return os.path.relpath(data.parent.resolve() / data.name, run.resolve())
