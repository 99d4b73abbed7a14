"""What banks are made of: captions, folders of pictures or sounds, and what our simulation draws; and looking at it.

    items = drawn_items(20_000, seed=987_654, modality="image")
    items = caption_items(Path("captions_train2017.json"))
    items = file_items(Path("pictures"), modality="image", captions=None)
    open_item(bank, row, folder)                    # the picture or sound itself, None where only its caption is known
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brain.console.progress import progress
from brain.errors import InputError, expected
from brain.files.json_files import read_json
from brain.files.paths import listed
from brain.files.pictures import SUFFIXES, open_image
from brain.files.tables import MARKS, read_rows
from brain.files.waveforms import RATE, read_wave
from brain.names import unseen
from brain.types import Stimuli
from encoders.voxelwise.banks import Bank

SCENE_PIXELS = 128
"""Side of a drawn scene, as the simulated studies show theirs."""
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
HEADERS = (["id", "caption"], ["image_id", "caption"], ["stimulus", "caption"], ["name", "caption"])
"""First lines of tables that name their columns."""
THEN = "give a COCO captions file (.json), two columns id and caption (.csv, .tsv), or a caption a line (.txt)"


@dataclass(frozen=True, kw_only=True)
class Items:
    """Stimuli for a bank, what a card says of their source, and the files they lie in."""

    stimuli: Stimuli
    source: Mapping[str, Any]
    licence: str = "unknown"
    files: Mapping[str, Path] = field(default_factory=dict)


def drawn_items(count: int, *, seed: int, modality: str) -> Items:
    """So many scenes, or sounds, of the simulation, by all their captions, as a study's are; `seed` is no study's."""
    things = {f"drawn-{seed}-{index:06d}": index for index in range(count)}
    scene = _scene_of(seed, modality)
    planned = {name: scene(index) for name, index in progress(things.items(), desc="planning", unit="item")}
    kind = "scenes" if modality == "image" else "sounds"
    return Items(
        stimuli=Stimuli(
            ids=tuple(things), modality=modality, opener=lambda name: _drawn(planned[name]),
            captions={name: one.captions for name, one in planned.items()},
            labels={name: one.labels for name, one in planned.items()},
        ),
        source={"drawn": kind, "count": count, "seed": seed}, licence="MIT, drawn by afterimage's own simulation",
    )  # fmt: skip


def caption_items(path: Path) -> Items:
    """The captions of a COCO file, one item a caption, or of a table or a text file."""
    if path.suffix.lower() == ".json":
        found, licence = _coco(path)
    else:
        rows, licence = read_rows(path), "unknown"
        if path.suffix.lower() in MARKS:
            short = next((line for line, cells in rows if len(cells) != 2), 0)
            if short:
                raise InputError(expected(f"{path}, line {short}", "two columns, id and caption", "others", THEN))
            found = [(cells[0], cells[1]) for _, cells in rows]
            if found and [cell.strip().lower() for cell in found[0]] in HEADERS:
                found = found[1:]
        else:
            found = [(f"line-{line}", cells[0]) for line, cells in rows]
    count: dict[str, int] = defaultdict(int)
    captions: dict[str, tuple[str, ...]] = {}
    for name, caption in ((one, " ".join(text.split())) for one, text in found):
        count[name] += 1
        own = name if count[name] == 1 else f"{name}#{count[name]}"
        unseen_in = next((one for one in (name, caption) if unseen(one)), None)
        if unseen_in is not None:
            what = "ids and captions of letters that can be seen"
            raise InputError(expected(path, what, ascii(unseen_in)[:60], "take the others out"))
        if not caption.strip() or own in captions:
            raise InputError(expected(path, f"a caption of its own for {name}", "none, or one name twice", THEN))
        captions[own] = (caption.strip(),)
    if not captions:
        raise InputError(expected(path, "captions", "none", THEN))

    def nothing(name: str) -> Any:
        raise InputError(expected(path, f"a picture of {name}", "a caption alone", "build the bank of --images"))

    stimuli = Stimuli(ids=tuple(captions), modality="image", opener=nothing, captions=captions)
    return Items(stimuli=stimuli, source={"captions": path.name, "count": len(captions)}, licence=licence)


def file_items(folder: Path, *, modality: str, captions: Path | None) -> Items:
    """The pictures or sounds of a folder, called as their files are, with captions by these names where a table has."""
    endings = SUFFIXES if modality == "image" else SOUNDS
    files = [one for one in listed(folder, "*") if one.suffix.lower() in endings]
    if not files:
        then = f"give a folder of {', '.join(endings)}"
        raise InputError(expected(folder, f"files of {modality}s", "none", then))
    by_name = {one.stem: one for one in files}
    if len(by_name) < len(files):
        raise InputError(expected(folder, "files of different names", "two that differ in their ending", "rename one"))
    said = dict(caption_items(captions).stimuli.captions) if captions else {}
    lacking = [name for name in by_name if captions and name not in said]
    if lacking:
        raise InputError(expected(str(captions), f"a caption of {lacking[0]}", "none", "add it, or take the file away"))
    read = open_image if modality == "image" else read_wave
    stimuli = Stimuli(
        ids=tuple(sorted(by_name)), modality=modality, opener=lambda name: read(by_name[name]),
        captions={name: said[name] for name in by_name if name in said},
    )  # fmt: skip
    return Items(
        stimuli=stimuli, source={f"{modality}s": folder.name, "count": len(files)},
        files={name: one.resolve() for name, one in by_name.items()},
    )  # fmt: skip


def open_item(bank: Bank, row: int) -> Any | None:
    """What an item of a bank looks or sounds like, drawn anew or read from its file; None of a caption alone."""
    kind = bank.source.get("drawn")
    if kind:
        modality = "image" if kind == "scenes" else "sound"
        return _drawn(_scene_of(int(bank.source["seed"]), modality)(int(bank.ids[row].rpartition("-")[2])))
    if not bank.files[row]:
        return None
    path = bank.where / bank.files[row]
    return open_image(path) if path.suffix.lower() in SUFFIXES else read_wave(path)


def _scene_of(seed: int, modality: str) -> Callable[[int], Any]:
    from brain.simulated.scenes.scene import draw_scene
    from brain.simulated.sounds.sound import draw_sound

    draw: Callable[..., Any] = draw_scene if modality == "image" else draw_sound
    return lambda index: draw(seed=seed, index=index)


def _drawn(thing: Any) -> Any:
    from brain.simulated.scenes.scene import Scene, render
    from brain.simulated.sounds.sound import render_sound, windows

    return render(thing, SCENE_PIXELS) if isinstance(thing, Scene) else (windows(render_sound(thing))[0], RATE)


def _coco(path: Path) -> tuple[list[tuple[str, str]], str]:
    """(id of the picture, caption) of every annotation, and the licence that the file names."""
    facts = read_json(path, what="a COCO captions file", then=THEN)
    annotations = facts.get("annotations")
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise InputError(expected(path, "annotations of COCO", "none", THEN))
    if not all({"image_id", "caption"} <= one.keys() for one in annotations):
        raise InputError(expected(path, "image_id and caption in every annotation", "one without", THEN))
    for one in annotations:
        number = isinstance(one["image_id"], int | str) and not isinstance(one["image_id"], bool)
        if not number or not isinstance(one["caption"], str):
            what = "a number or a text as image_id, and a text as caption"
            raise InputError(expected(path, what, f"{one['image_id']!r:.40} and {one['caption']!r:.40}", THEN))
    return [(str(one["image_id"]), str(one["caption"])) for one in annotations], "captions of COCO: CC BY 4.0"
