"""A bank: conditions of very many pictures or sounds that no brain has answered to, the prior of a Bayesian reading.

    bank = build_bank(Path("bank"), spaces, stimuli, source={"captions": "coco.json"}, licence="CC BY 4.0")
    bank = Bank.load(Path("bank"))
    text = bank.spaces["clip-text"]
    text.coordinates                             # (item, component) float16: what is searched
    text.conditions(text.coordinates[:3])        # conditions of the space again, (row, *shape) float32

    BANK/bank.safetensors   for each space its mean, principal axes and every item's coordinates, in half precision;
                            ids, captions, file names, and codes of the labels; its card: spaces, source, licence
    BANK/shards/            while it is built: encoded items, so that a build goes on where it was stopped

The axes are those of the first items of a random order, `AXES_FROM` at most, and every item is projected on them as it
is encoded: a million captions take one pass, and the memory of their coordinates.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.errors import InputError, UsageError, expected
from brain.types import Float, Int, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.spaces import Space
from encoders.storage import Arrays, read_json, read_tensors, write_json, write_tensors
from encoders.voxelwise.bank_checks import must_be_sound

KIND, FILE = "bank", "bank.safetensors"
SHARD = 2048
"""Items that are encoded between two files of a build."""
AXES_FROM = 4096
"""Items that the principal axes are found on."""
COMPONENTS = 128
"""Principal components of a condition that are kept where nobody says how many."""
FEWEST = 10
"""Items below which a bank is none."""


@dataclass(frozen=True, kw_only=True)
class Components:
    """Conditions of one space by their principal components.

    card         SpaceCard of the space
    mean         (number,) float32 and axes (component, number): a condition is mean + coordinates @ axes
    coordinates  (item, component); both are float16 on disk
    kept         share of the variance of what the axes were found on
    """

    card: SpaceCard
    mean: Float
    axes: NDArray[Any]
    coordinates: NDArray[Any]
    kept: float

    def conditions(self, coordinates: Float | NDArray[np.float64]) -> Float:
        """Coordinates (row, component) -> conditions (row, *shape) float32, each row by itself."""
        axes, mean = self.axes.astype(np.float64), self.mean.astype(np.float64)
        rows = [mean + np.asarray(one, np.float64) @ axes for one in coordinates]
        return np.asarray(rows, np.float32).reshape(len(coordinates), *self.card.shape)

    def coordinates_of(self, values: Float) -> Float:
        """Conditions (row, *shape) -> coordinates (row, component) float32."""
        return np.asarray((values.reshape(len(values), -1) - self.mean) @ self.axes.astype(np.float32).T, np.float32)


@dataclass(frozen=True, kw_only=True)
class Bank:
    """A bank in memory.

    ids        (item,) of its items; captions (item,), files (item,) their names: "" where there is none
    spaces     space -> Components of all items
    labels     group -> (item,) int64 codes of `names[group]`; groups that some items lack are left out
    source     what it was made of, such as {"drawn": "scenes", "count": 20000, "seed": 1}; licence of that
    digest     sha256 of all of it but the licence; where the folder is that it lies in
    """

    ids: tuple[str, ...]
    captions: tuple[str, ...] = field(repr=False)
    files: tuple[str, ...] = field(repr=False)
    spaces: Mapping[str, Components] = field(repr=False)
    labels: Mapping[str, Int] = field(repr=False)
    names: Mapping[str, tuple[str, ...]] = field(repr=False)
    source: Mapping[str, Any]
    licence: str
    digest: str
    where: Path

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def words(self) -> tuple[frozenset[str], ...]:
        """(item,) the words of each caption; none where there is none."""
        return tuple(frozenset(plain(one).split()) for one in self.captions)

    def must_be_of(self, card: SpaceCard, *, where: Path | str) -> Components:
        """Its components in that very space; a bank without it, or of another stack's, is an InputError."""
        self.must_have(card.name, where=where)
        found_card = self.spaces[card.name].card
        if found_card.digest != card.digest:
            then = "build one on this stack: `afterimage bank build`"
            found = f"{card.name} of {found_card.model} at {found_card.revision[:12]}"
            raise InputError(expected(where, f"{card.name} of {card.model} at {card.revision[:12]}", found, then))
        return self.spaces[card.name]

    def must_have(self, space: str, *, where: Path | str) -> None:
        """Refuses (InputError) a bank without conditions in that space."""
        if space not in self.spaces:
            found = ", ".join(self.spaces)
            raise InputError(expected(where, f"conditions in {space}", found, "build one: `afterimage bank build`"))

    def without(self, ids: Sequence[str]) -> Bank:
        """The bank less these items; its digest stays that of the whole one."""
        gone = set(ids)
        stay = np.array([row for row, name in enumerate(self.ids) if name not in gone], np.int64)
        if len(stay) == len(self):
            return self
        texts: dict[str, Any] = {
            name: tuple(getattr(self, name)[row] for row in stay.tolist()) for name in ("ids", "captions", "files")
        }
        spaces = {name: replace(one, coordinates=one.coordinates[stay]) for name, one in self.spaces.items()}
        return replace(self, **texts, spaces=spaces, labels={group: one[stay] for group, one in self.labels.items()})

    def save(self, folder: Path, *, asked: Mapping[str, Any] | None = None) -> None:
        """Writes what `load` reads; `asked` is what a build was asked for, by which it is known."""
        small = {group: np.uint8 if len(self.names[group]) < 2**8 else np.uint32 for group in self.labels}
        tensors: Arrays = {f"label.{group}": one.astype(small[group]) for group, one in self.labels.items()}
        for name, one in self.spaces.items():
            tensors |= {f"{name}.mean": one.mean, f"{name}.axes": one.axes, f"{name}.coordinates": one.coordinates}
        for name in ("ids", "captions", "files"):
            tensors |= _packed(name, getattr(self, name))
        card = {
            "asked": dict(asked or {}), "labels": {group: list(known) for group, known in self.names.items()},
            "licence": self.licence, "source": dict(self.source),
            "spaces": {name: {"card": one.card.facts(), "kept": one.kept} for name, one in self.spaces.items()},
        }  # fmt: skip
        write_tensors(folder / FILE, tensors, kind=KIND, card=card)

    def facts(self) -> dict[str, Any]:
        """What a card says of it."""
        return {
            "items": len(self), "source": dict(self.source), "licence": self.licence, "digest": self.digest,
            "spaces": {name: {"components": one.axes.shape[0], "kept": one.kept} for name, one in self.spaces.items()},
            "labels": list(self.labels),
        }  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Bank:
        """Reads what `build_bank` wrote; a damaged, unfinished or foreign folder is an InputError."""
        path = folder / FILE
        if not path.is_file() and (folder / "shards").is_dir():
            then = "run the same `afterimage bank build` again: it goes on"
            raise InputError(expected(folder, "a finished bank", "one whose build was stopped", then))
        if not path.is_file():
            raise InputError(expected(folder, "a bank", f"no {FILE}", "build one: `afterimage bank build`"))
        tensors, card = read_tensors(path, kind=KIND)
        try:
            spaces = {
                name: Components(
                    card=SpaceCard.from_facts(facts["card"]), mean=tensors[f"{name}.mean"],
                    axes=tensors[f"{name}.axes"], coordinates=tensors[f"{name}.coordinates"], kept=float(facts["kept"]),
                )
                for name, facts in card["spaces"].items()
            }  # fmt: skip
            names = {group: tuple(known) for group, known in card["labels"].items()}
            count = len(tensors["ids.bytes"])
            texts = {name: _unpacked(tensors, name, count) for name in ("ids", "captions", "files")}
            found = cls(
                **texts, spaces=spaces, names=names, licence=str(card["licence"]), source=dict(card["source"]),
                labels={group: tensors[f"label.{group}"].astype(np.int64) for group in names},
                digest=_digest_of(tensors, {name: card[name] for name in ("labels", "source", "spaces")}), where=folder,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise InputError(expected(path, "a bank", f"one without {fault}", "build it again")) from fault
        must_be_sound(found, path)
        sizes = {len(found.ids), *(len(one.coordinates) for one in spaces.values())}
        sizes |= {len(one) for one in found.labels.values()} | {len(found.captions), len(found.files)}
        if len(sizes) != 1 or not spaces:
            raise InputError(expected(path, "as many conditions as ids", f"{sorted(sizes)}", "build it again"))
        return found


def build_bank(
    folder: Path,
    spaces: Mapping[str, Space],
    stimuli: Stimuli,
    *,
    source: Mapping[str, Any],
    licence: str,
    components: Mapping[str, int],
    files: Mapping[str, Path] | None = None,
    seed: int = 0,
) -> Bank:
    """Encodes every stimulus in every space, or goes on where a build with the same arguments was stopped.

    folder      where it lies afterwards; one with another bank, or with a build of other arguments, is a UsageError
    spaces      space -> what encodes it
    components  space -> how many principal components are kept, at most
    files       id -> its file, for who wants to look; noted relative to the bank
    """
    ids = stimuli.ids
    if len(ids) < FEWEST:
        raise InputError(expected(folder, f"{FEWEST} items or more", str(len(ids)), "give more"))
    asked = _asked(spaces, stimuli, files or {}, source=source, licence=licence, components=components, seed=seed)
    if (folder / FILE).is_file():
        known = read_tensors(folder / FILE, kind=KIND)[1].get("asked")
        if known != asked:
            raise UsageError(expected(folder, "an empty folder", "another bank", "choose another, or remove it"))
        return Bank.load(folder)
    shards = _shards(folder, asked)
    order = np.random.default_rng(seed).permutation(len(ids))
    axes = {name: _axes(shards, name, space, stimuli, order, components[name]) for name, space in spaces.items()}
    parts: dict[str, list[NDArray[np.float16]]] = {name: [] for name in spaces}
    firsts = range(0, len(ids), SHARD)
    with progress(total=len(ids), desc="encoding the bank", unit="item") as bar:
        for first in firsts:
            some = ids[first : first + SHARD]
            for name, space in spaces.items():
                parts[name].append(_shard(shards / f"{name}.{first:09d}.safetensors", axes[name], space, stimuli, some))
            bar.update(len(some))
    near = {name: os.path.relpath(path, folder.resolve()) for name, path in (files or {}).items()}
    codes, names = labels_of(stimuli)
    made = Bank(
        ids=ids, captions=_captions(stimuli), files=tuple(near.get(one, "") for one in ids), labels=codes, names=names,
        spaces={name: replace(one, coordinates=np.concatenate(parts[name])) for name, one in axes.items()},
        source=source, licence=licence, digest="", where=folder,
    )  # fmt: skip
    made.save(folder, asked=asked)
    shutil.rmtree(shards)
    return Bank.load(folder)


def plain(caption: str) -> str:
    """A caption in small letters without marks, for comparing."""
    return " ".join(re.findall(r"\w+", caption.lower()))


def bank_of(conditions: Mapping[str, Conditions], stimuli: Stimuli, *, components: int = COMPONENTS) -> Bank:
    """A bank in memory of conditions at hand, space -> Conditions of the same `stimuli` in their order, 2 or more."""
    spaces = {}
    for name, one in conditions.items():
        mean, axes, kept = _principal(one.take(stimuli.ids).values, components)
        part = Components(card=one.space, mean=mean, axes=axes, coordinates=axes[:0], kept=kept)
        spaces[name] = replace(part, coordinates=part.coordinates_of(one.take(stimuli.ids).values))
    codes, names = labels_of(stimuli)
    arrays = {name: one.coordinates for name, one in spaces.items()}
    return Bank(
        ids=stimuli.ids, captions=_captions(stimuli), files=("",) * len(stimuli.ids), spaces=spaces, labels=codes,
        names=names, source={"stimuli": len(stimuli.ids)}, licence="as the data's",
        digest=_digest_of({**arrays, **_packed("ids", stimuli.ids)}, {"labels": names}), where=Path(),
    )  # fmt: skip


def labels_of(stimuli: Stimuli) -> tuple[dict[str, Int], dict[str, tuple[str, ...]]]:
    """Codes (item,) int64 and names of every group of labels that all `stimuli` have."""
    every = [stimuli.labels.get(one, {}) for one in stimuli.ids]
    groups = [group for group in (every[0] if every else {}) if all(group in one for one in every)]
    codes, names = dict[str, Int](), dict[str, tuple[str, ...]]()
    for group in groups:
        known, code = np.unique([one[group] for one in every], return_inverse=True)
        if len(known) < len(every):  # as many names as items say nothing about any group of them
            codes[group], names[group] = code.astype(np.int64), tuple(known.tolist())
    return codes, names


def _asked(
    spaces: Mapping[str, Space], stimuli: Stimuli, files: Mapping[str, Path], *, source: Mapping[str, Any],
    licence: str, components: Mapping[str, int], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """What decides a bank's content, its files' bytes among that: another answer is another bank."""
    digest = hashlib.sha256()
    for one in stimuli.ids:
        content = hashlib.sha256(files[one].read_bytes()).hexdigest() if one in files else ""
        labels = sorted(stimuli.labels.get(one, {}).items())
        digest.update(json.dumps([one, list(stimuli.captions.get(one, ())), labels, content]).encode())
    return {
        "spaces": {name: space.card.digest for name, space in spaces.items()}, "source": dict(source),
        "licence": licence, "components": {name: components[name] for name in spaces}, "seed": seed,
        "items": digest.hexdigest(),
    }  # fmt: skip


def _shards(folder: Path, asked: Mapping[str, Any]) -> Path:
    """The folder of a build with these arguments; something else in the place is a UsageError."""
    shards = folder / "shards"
    note = shards / "asked.json"
    if note.is_file():
        if read_json(note, kind=KIND) != asked:
            found = "a build of other items or settings that was stopped"
            raise UsageError(expected(folder, "an empty folder", found, "choose another, or remove it"))
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(expected(folder, "an empty folder", "other files", "choose another"))
    else:
        write_json(note, asked)
    return shards


def _axes(
    shards: Path, name: str, space: Space, stimuli: Stimuli, order: NDArray[np.int64], components: int
) -> Components:
    """Mean and principal axes of the first items of that order, found once a build."""
    path = shards / f"{name}.axes.safetensors"
    if not path.is_file():
        some = [stimuli.ids[row] for row in order[:AXES_FROM]]
        mean, axes, kept = _principal(space.encode(stimuli, some, batch=64).values, components)
        write_tensors(path, {"mean": mean, "axes": axes.astype(np.float16)}, kind=KIND, card={"kept": kept})
    tensors, card = read_tensors(path, kind=KIND)
    none = np.zeros((0, len(tensors["axes"])), np.float16)
    return Components(
        card=space.card, mean=tensors["mean"], axes=tensors["axes"], coordinates=none, kept=float(card["kept"])
    )  # fmt: skip


def _principal(conditions: Float, components: int) -> tuple[Float, Float, float]:
    """Mean (number,), principal axes (component, number) of conditions (item, *shape), and their share of variance."""
    values = conditions.reshape(len(conditions), -1).astype(np.float64)
    mean = values.mean(0)
    values -= mean
    wide = len(values) < values.shape[1]
    spectrum, vectors = np.linalg.eigh(values @ values.T if wide else values.T @ values)
    spectrum, vectors = np.clip(spectrum[::-1], 0, None), vectors[:, ::-1]
    real = int((spectrum > spectrum[0] * len(spectrum) * np.finfo(np.float64).eps).sum())
    count = min(components, len(values) - 1, max(1, real))
    axes = vectors[:, :count].T
    if wide:
        axes = (axes @ values) / np.sqrt(np.where(spectrum[:count] > 0, spectrum[:count], 1))[:, None]
    kept = float(spectrum[:count].sum() / spectrum.sum()) if real else 1.0
    return mean.astype(np.float32), axes.astype(np.float32), kept


def _shard(path: Path, axes: Components, space: Space, stimuli: Stimuli, ids: Sequence[str]) -> NDArray[np.float16]:
    """Coordinates (item, component) of these items, encoded unless a file has them."""
    if not path.is_file():
        made: Conditions = space.encode(stimuli, ids, batch=64)
        with np.errstate(over="ignore"):
            coordinates = axes.coordinates_of(made.values).astype(np.float16)
        if not np.isfinite(coordinates).all():
            raise InputError(expected(path, "conditions that half precision holds", "larger ones", "scale them"))
        write_tensors(path, {"coordinates": coordinates}, kind=KIND, card={})
    return np.asarray(read_tensors(path, kind=KIND)[0]["coordinates"], np.float16)


def _captions(stimuli: Stimuli) -> tuple[str, ...]:
    """The first caption of each, "" where there is none."""
    return tuple(next(iter(stimuli.captions.get(one, ())), "") for one in stimuli.ids)


def _packed(name: str, texts: Sequence[str]) -> Arrays:
    """Texts as bytes, one after the other, and how many bytes each has; none of them where all are empty."""
    whole = [text.encode() for text in texts]
    if not any(whole):
        return {}
    sizes = np.array([len(one) for one in whole], np.uint32)
    return {name: np.frombuffer(b"".join(whole), np.uint8), f"{name}.bytes": sizes}


def _unpacked(tensors: Arrays, name: str, count: int) -> tuple[str, ...]:
    if name not in tensors:
        return ("",) * count
    whole, ends = tensors[name].tobytes(), np.cumsum(tensors[f"{name}.bytes"], dtype=np.int64).tolist()
    if not ends or ends[-1] != len(whole):
        raise ValueError(f"as many bytes of {name} as it says")
    return tuple(whole[first:last].decode() for first, last in zip([0, *ends[:-1]], ends, strict=True))


def _digest_of(tensors: Arrays, facts: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\0{tensor.dtype.str}\0{tensor.shape}\0".encode())
        digest.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
