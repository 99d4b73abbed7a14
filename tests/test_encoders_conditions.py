"""The space contract and what lies on disk: same numbers back, other spaces refused, damage said in one sentence."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from brain.errors import InputError, StorageError
from encoders.conditions import Conditions, SpaceCard
from encoders.storage import write_json, write_tensors

CARD = SpaceCard(
    name="clip-image", model="miniature-image", revision="1", layer="image_embeds", normalisation="none", shape=(2, 3)
)


def conditions(count: int = 4) -> Conditions:
    values = np.random.default_rng(0).standard_normal((count, 2, 3)).astype(np.float32)
    return Conditions(space=CARD, values=values, ids=tuple(f"nsd{one:05d}" for one in range(count)))


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "c.safetensors"
    conditions().save(path)
    back = Conditions.load(path)
    assert back.space == CARD and back.space.digest == CARD.digest and back.ids == conditions().ids
    np.testing.assert_array_equal(back.values, conditions().values)
    assert [one.name for one in path.parent.iterdir()] == ["c.safetensors"], "a temporary file stayed behind"


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        conditions().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "change",
    [{"name": "vae-latent"}, {"model": "sd15"}, {"revision": "2"}, {"layer": "pooled"}, {"normalisation": "l2"}],
)
def test_another_space_is_refused_even_where_the_shape_fits(change: dict[str, str]) -> None:
    other = replace(CARD, **change)
    assert other.shape == CARD.shape and other.digest != CARD.digest
    with pytest.raises(InputError, match=next(iter(change.values()))):
        CARD.must_match(other)
    CARD.must_match(replace(CARD))


def test_take_and_rows() -> None:
    all_ = conditions()
    some = all_.take(["nsd00002", "nsd00000"])
    np.testing.assert_array_equal(some.values, all_.values[[2, 0]])
    assert all_.rows(["nsd00001", "nsd00001"]).tolist() == [1, 1]
    with pytest.raises(InputError, match="nsd00009"):
        all_.take(["nsd00009"])


def test_wrong_conditions_cannot_be_built() -> None:
    good = conditions()
    with pytest.raises(InputError, match="shape"):
        replace(good, ids=good.ids[:-1])
    with pytest.raises(InputError, match="duplicate"):
        replace(good, ids=("a", "a", "b", "c"))
    holed = good.values.copy()
    holed[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        replace(good, values=holed)
    with pytest.raises(InputError):
        replace(CARD, shape=())


def _other(path: Path) -> None:
    save_file({"values": np.zeros((4, 2, 3), np.float32)}, path)


def _mapping(path: Path) -> None:
    write_tensors(path, {"values": np.zeros(3, np.float32)}, kind="mapping", card={})


def _truncated(path: Path) -> None:
    conditions().save(path)
    path.write_bytes(path.read_bytes()[:-8])


def _no_ids(path: Path) -> None:
    write_tensors(path, {"values": np.zeros((4, 2, 3), np.float32)}, kind="conditions", card={"space": CARD.facts()})


def _bad_card(path: Path) -> None:
    card = {"space": CARD.facts() | {"shape": "2"}, "ids": ["a"]}
    write_tensors(path, {"values": np.zeros((1, 2, 3), np.float32)}, kind="conditions", card=card)


DAMAGE = {
    "absent": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": _truncated,
    "text": lambda path: path.write_text("hello"),
    "of another program": _other,
    "of another kind": _mapping,
    "without ids": _no_ids,
    "a card of wrong types": _bad_card,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c.safetensors"
    DAMAGE[damage](path)
    with pytest.raises(InputError) as said:
        Conditions.load(path)
    assert "\n" not in str(said.value) and "expected" in str(said.value)


def test_no_folder_to_write_in_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        conditions().save(tmp_path / "file" / "c.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.safetensors"
    conditions().save(path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        conditions(2).save(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["c.safetensors"]


def test_cards_are_plain_json(tmp_path: Path) -> None:
    write_json(tmp_path / "card.json", {"b": 1, "a": "ü"})
    assert json.loads((tmp_path / "card.json").read_text(encoding="utf-8")) == {"a": "ü", "b": 1}
    assert SpaceCard.from_facts(json.loads(json.dumps(CARD.facts()))) == CARD
