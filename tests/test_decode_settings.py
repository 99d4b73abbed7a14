"""Settings of a run: format 1 brought up to format 2, entries that come and go, one value a name, maps by name."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import decode.run.migration
from app.cli import main
from app.flags import knobs
from brain.catalogue import Catalogue
from brain.errors import InputError, UsageError
from decode.methods import CATALOGUE as METHODS
from decode.methods import read_from
from decode.methods._parts.reranking import check_reranking
from decode.recipes import CATALOGUE as RECIPES
from decode.run.card import commit
from decode.run.folder import RunFolder
from decode.run.migration import as_stored, settings_from
from decode.run.settings import Absent, MapSettings, Settings, maps_of, taken_on
from decode.stages.draw.draw import check_drawing, check_rows
from pipelines.stacks.find import resolve
from tests import record

GOLDEN = "tests/golden/settings_of_format_1.json"


@pytest.fixture(scope="module")
def first(checkout: Path) -> dict[str, dict[str, Any]]:
    """Recipe -> settings.json as afterimage 0.1.0 wrote it for that recipe."""
    found: dict[str, dict[str, Any]] = json.loads((checkout / GOLDEN).read_text(encoding="utf-8"))
    return found


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> str:
    """An installation whose folder of methods has one file less."""
    gone = "mindvis"
    fewer: Catalogue[Any] = Catalogue("decode.methods", "decoding method")
    rest = {entry.name: entry for entry in METHODS if entry.name != gone}
    monkeypatch.setattr(fewer, "names", lambda: tuple(rest))
    monkeypatch.setattr(decode.run.migration, "METHODS", fewer)
    monkeypatch.setitem(decode.run.migration.CHOSEN, "methods", fewer)
    return gone


LATER = {"bayes-miniature", "bayes-sound-miniature"}
"""Recipes that no run of format 1 could have."""


@pytest.mark.parametrize("name", sorted({*RECIPES.names()} - LATER))
def test_settings_of_format_1_are_those_of_the_recipe(name: str, first: dict[str, dict[str, Any]]) -> None:
    found = settings_from(first[name], where="settings.json")
    assert found == RECIPES[name].settings()
    assert settings_from(as_stored(found, "data"), where="settings.json") == found


def test_what_was_fine_tuned_without_being_asked_for_keeps_its_settings(first: dict[str, dict[str, Any]]) -> None:
    stored = first["takagi-miniature"]
    stored = {**stored, "fit": {**stored["fit"], "voxels": ["V1"], "tune_steps": 7}}
    found = settings_from(stored, where="settings.json")
    asked = replace(found, sampling=replace(found.sampling, beside=("mindvis",)))
    assert asked.method("mindvis").voxels == ("V1",) and asked.method("mindvis").tune_steps == 7


def test_settings_of_a_method_that_is_gone_come_back_with_it(first: dict[str, dict[str, Any]], without: str) -> None:
    stored = first["mindvis-miniature"]
    stored = {**stored, "fit": {**stored["fit"], "tune_steps": 7}}
    poor = settings_from(stored, where="settings.json")
    assert isinstance(poor.methods[without], Absent)
    kept = as_stored(taken_on(poor, poor, ("evaluate",)), "data")
    again = settings_from(json.loads(json.dumps(kept)), where="settings.json")
    assert again.methods[without] == poor.methods[without]
    decode.run.migration.CHOSEN["methods"] = METHODS
    assert settings_from(kept, where="settings.json").method(without).tune_steps == 7


def test_a_knob_that_is_new_has_its_default_and_an_unknown_one_is_refused() -> None:
    stored = as_stored(RECIPES["takagi-miniature"].settings(), "data")
    own = stored["asked"]["methods"]["takagi"]
    default = own.pop("eta")
    assert settings_from(stored, where="settings.json").method("takagi").eta == default
    own["warmth"] = 1
    with pytest.raises(InputError, match="settings that this version knows, found warmth besides"):
        settings_from(stored, where="settings.json")


@pytest.mark.parametrize("form", [True, 3, "2", None])
def test_other_formats_are_refused(form: object) -> None:
    stored = {**as_stored(RECIPES["takagi-miniature"].settings(), "data"), "format": form}
    with pytest.raises(InputError, match=r"expected settings of format 2 or 1, found format"):
        settings_from(stored, where="settings.json")


def test_what_several_methods_read_has_one_value() -> None:
    both = RECIPES["unclip-miniature"].settings(beside=("takagi", "mindvis"))
    for name in ("steps", "guidance", "scheduler", "eta"):
        assert len({getattr(own, name) for own in both.methods.values()}) == 1, name
    bare = replace(both, methods={"unclip": both.methods["unclip"]})
    assert bare.whole().methods == both.methods


def test_no_stack_is_not_the_folder_that_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="--stack: expected a name, a hub id or a folder, found none"):
        resolve("")
    bare = RECIPES["pixels-ridge"].settings(beside=("mindvis",))
    with pytest.raises(UsageError, match="a stack, with which method mindvis draws, found none"):
        check_drawing(bare)


def test_knobs_of_a_mapping_that_one_map_alone_names() -> None:
    found = RECIPES["takagi-miniature"].settings(maps=("clip-text@residual=V1", "vae-latent=V1"))
    assert set(found.mappings) == {"ridge", "residual"}
    assert not replace(RECIPES["takagi-miniature"], maps=MapSettings(maps=("clip-text@gone=V1",))).complete()


@pytest.mark.parametrize("name", ["V1.fine", "a b", "é", "x" * 61, "a/b"])
def test_names_of_maps_are_parts_of_files_names(name: str) -> None:
    with pytest.raises(UsageError, match="a name of letters, digits, - and _, 60 at most"):
        maps_of(MapSettings(maps=(f"{name}:clip-text=V1",)))


def test_of_several_maps_into_a_space_one_is_named_like_it() -> None:
    two = ("a:clip-text=V1", "b:clip-text=V2")
    assert read_from(MapSettings(maps=(*two, "clip-text=V3")), ("clip-text",)) == {"clip-text": "clip-text"}
    assert read_from(MapSettings(maps=two[:1]), ("clip-text",)) == {"clip-text": "a"}
    with pytest.raises(UsageError, match="one map called clip-text, found a, b, all into it"):
        read_from(MapSettings(maps=two), ("clip-text",))
    with pytest.raises(UsageError, match="a map into vae-latent of a name that is no other space's, found clip-text"):
        maps_of(MapSettings(maps=(*two, "clip-text:vae-latent=V3")))


def test_reranking_finds_its_map_by_its_space() -> None:
    sound = RECIPES["c2f-miniature"].settings()
    rows = replace(sound.sampling, rows=("decoded", "reranked"))
    named = replace(sound, sampling=rows, maps=replace(sound.maps, maps=("heard:clap=A1", "loa=A4")))
    check_reranking(named)
    with pytest.raises(UsageError, match="reranked needs clap among --maps"):
        check_reranking(replace(named, maps=replace(sound.maps, maps=("heard:loa=A4",))))


def test_a_run_keeps_places_of_its_own(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for name in ("report", "mindvis"):
        (tmp_path / name).mkdir()
    assert run.learned("report") == tmp_path / "learned" / "report"
    assert run.learned("mindvis") == tmp_path / "mindvis"  # where afterimage 0.1.0 put it


def test_a_card_says_what_has_been_learned(tmp_path: Path) -> None:
    """A folder alone is a learning that was stopped."""
    run = RunFolder(tmp_path)
    (tmp_path / "learned/slow").mkdir(parents=True)
    assert not run.has_learned("slow")
    run.add_to_card({"tested": {}, "fitted": ["learned/slow/card.json"], "learners": ["quick"]})
    assert run.has_learned("slow") and run.has_learned("quick") and not run.has_learned("mindvis")
    run.add_to_card({"fitted": ["mindvis/card.json"]})
    (tmp_path / "mindvis").mkdir()
    assert run.has_learned("mindvis")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--beside", "unclip", "--beside", "mindvis"], "--beside once, found it 2 times"),
     (["--method", "takagi", "--recipe", "pixels-ridge"], "a stack, with which method takagi draws, found none"),
     (["--mapping", "gone"], "no mapping is called 'gone'"),
     (["--strength", "0.5", "--recipe", "pixels-ridge"], "found --strength of method")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_work(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = ["--maps", "clip-text=*", "vae-latent=*"] if "takagi" in words else []
    assert main(["study", str(tmp_path / "data.npz"), "--out", str(tmp_path / "run"), *words, *maps]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_settings_of_a_learning_that_has_not_begun_bind_nothing(tmp_path: Path) -> None:
    settings = RECIPES["pixels-ridge"].settings(beside=("mindvis",))
    run, data = RunFolder(tmp_path / "run"), tmp_path / "data"
    run.claim(settings, data, ("machine", "fit"))
    (run.path / "maps").mkdir()  # fitted, and then the fine-tuning was refused
    other = replace(settings.methods["mindvis"], tune_steps=7)
    changed = replace(settings, methods={**settings.methods, "mindvis": other})
    run.claim(changed, data, ("machine", "fit"))
    assert run.stored()[0].method("mindvis").tune_steps == 7
    (run.path / "learned/mindvis").mkdir(parents=True)
    with pytest.raises(UsageError, match="made with tune_steps 7 and is now asked for 1000"):
        run.claim(settings, data, ("machine", "fit"))


def test_a_knob_of_a_section_s_name_is_a_fault_of_the_entry_s_file() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Clashing:
        seed: int = 0

    with pytest.raises(ValueError, match="slow: its setting 'seed' stands for something else already; rename it"):
        knobs("methods", {"slow": Clashing()}, stages=("decode",), title="")


def test_two_methods_have_two_rows() -> None:
    settings: Settings = RECIPES["takagi-miniature"].settings(beside=("unclip", "mindvis"))
    check_rows(settings)
    twice = replace(settings, sampling=replace(settings.sampling, beside=("unclip", "unclip")))
    with pytest.raises(UsageError, match="twice"):
        check_rows(twice)


def test_the_card_names_the_commit(checkout: Path) -> None:
    if not (checkout / ".git").exists():
        pytest.skip("no checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    assert commit().removesuffix("+changes") == head.stdout.strip()


def test_a_record_says_when_a_generator_got_other_settings() -> None:
    old = {"guidance_scale": 5.0, "lane": 0, "steps": 4}
    assert not record.generators_apart(old, {"guidance": 5.0, "steps": 4})
    assert record.generators_apart(old, {"guidance": 5.0, "heat": 1}) == ["generator: heat (not said) | 1"]
    assert record.generators_apart(old, {}) == ["generator: 3 settings | none"]
