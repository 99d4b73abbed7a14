"""The page of synthesized pictures: controls, strips along the trajectory, axes that mean something, colours, size."""

from __future__ import annotations

import html
import importlib.resources
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders.storage import write_tensors
from evaluation.report.pages import thumbnails as pages_thumbnails
from evaluation.report.pages.charts import apart, axis_of
from evaluation.report.pages.synthesis import DEEPEST, NOTHING_COMPARED, RANGES, SPANS, answer, render
from evaluation.report.pages.thumbnails import ROOM, SIDES, thumbnails
from evaluation.report.synthesis import FEW, KIND, RESPONSES, TRAJECTORIES, Scored, Synthesis, judge_synthesis
from evaluation.samples.writer import SampleWriter

STEPS = (1, 5, 9, 12, 16, 20)
COUNT = 8
GUIDED = {"control": False, "counts": "denoising step", "description": "uphill", "flops": 5e10, "seconds": 1.0}


def noise(seed: int, side: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def synthesis(
    home: Path, methods: dict[str, dict[str, Any]], *, strips: bool = True, count: int = COUNT, simulated: str = ""
) -> Synthesis:
    """A folder of `count` pictures a method, the first method far above the others, judged by their pixels."""
    rng, ways = np.random.default_rng(0), {}
    tensors = {"guide.natural": rng.normal(size=(200, 1)).astype(np.float32)}
    for level, (row, facts) in enumerate(methods.items()):
        courses = {f"p{i:03d}": [0.1 * i + 0.2 * step for step in range(21)] for i in range(count)}
        ways[row] = {**facts, "courses": courses if facts.get("counts") else {}}
        with SampleWriter(home / "samples", simulated=simulated) as writer:
            for i in range(count):
                writer.write(noise(100 * level + i), row=row, stimulus=f"p{i:03d}", index=0, seed=i, method=row)
        if strips and facts.get("counts"):
            with SampleWriter(home / TRAJECTORIES, simulated=simulated) as writer:
                for step in STEPS:
                    writer.write(noise(9000 + step), row=row, stimulus="p000", index=step, seed=0, method=row)
            values = [float(step) for step in STEPS]
            ways[row]["strips"] = {"p000": {"steps": 20, "shown": list(STEPS), "values": values}}
        tensors[f"guide.{row}"] = (4 * (level == 0) + rng.normal(size=(count, 1)) / 4).astype(np.float32)
    write_tensors(home / RESPONSES, tensors, kind=KIND, card={"regions": ["FFA-1"]})
    facts = {"signs": {"FFA-1": 1.0}, "subject": "subj01", "ways": ways}
    (home / "synthesis.json").write_text(json.dumps(facts))
    return judge_synthesis(home, seed=0, judge="pixels", resamples=100)


def words_of(page: str) -> str:
    """What a reader of the page sees."""
    return html.unescape(re.sub(r"<[^>]*>", " ", page[page.index("<body>") :]))


# ---- axes


@pytest.mark.parametrize(
    ("values", "how", "words"),
    [
        ((0.2, 4.6), {}, ["0", "1", "2", "3", "4", "5"]),
        ((-0.3, 0.55), {}, ["−0.4", "−0.2", "0.0", "0.2", "0.4", "0.6"]),
        ((1, 21), {"whole": True}, ["1", "5", "10", "15", "20"]),
        ((1, 3), {"whole": True}, ["1", "2", "3"]),
        ((10.7, 50.9), {"log": True}, ["10", "20", "50", "100"]),
        ((7e-3, 2.6e3), {"log": True}, ["0.001", "0.01", "0.1", "1", "10", "100", "1,000", "10,000"]),
    ],
)
def test_ticks_are_round_and_the_axis_holds_every_value(
    values: tuple[float, float], how: dict[str, bool], words: list[str]
) -> None:
    axis = axis_of(values, **how)
    assert [tick.words for tick in axis.ticks] == words
    assert all(0 <= axis.at(value) <= 1 for value in values)
    ends = [float(word.replace("−", "-").replace(",", "")) for word in words]
    np.testing.assert_allclose([axis.at(end) for end in ends], [tick.at for tick in axis.ticks])


@pytest.mark.parametrize("how", [{}, {"log": True}, {"whole": True}])
def test_an_axis_of_one_value_has_two_ends(how: dict[str, bool]) -> None:
    axis = axis_of([10.0], **how)
    assert axis.low < axis.high and 0 <= axis.at(10.0) <= 1 and len(axis.ticks) > 1


def test_names_are_apart_in_their_order_and_inside() -> None:
    rng = np.random.default_rng(0)
    for places in (rng.uniform(0, 240, 9).tolist(), [240.0] * 5, [3.0, 3.0, 1.0]):
        found = np.array(apart(places, gap=15, low=0, high=240))
        order = np.argsort(places, kind="stable")
        assert (np.diff(found[order]) >= 15).all() and found.min() >= 0 and found.max() <= 240
    assert apart([10, 100, 200], gap=15, low=0, high=240) == [10, 100, 200]
    assert apart([5.0] * 3, gap=500, low=0, high=240) == [0, 120, 240]


# ---- the page


def test_controls_are_those_whose_card_says_so(tmp_path: Path) -> None:
    ours = {"title": "Shuffled voxels", "control": True, "description": "a control that nobody knows"}
    found = synthesis(tmp_path, {"guided": GUIDED, "shuffled_voxels": ours})
    assert [(row["row"], row["control"]) for row in map(Scored.facts, found.rows)] == [
        ("guided", False), ("shuffled_voxels", True),
    ]  # fmt: skip
    first, detail = answer(found)
    assert "Controls: shuffled voxels" in detail and "guided drives it more" in first
    page = render(found)
    assert NOTHING_COMPARED not in words_of(page) and "<b>shuffled voxels</b> (control)" in page


def test_a_control_ahead_of_all_is_never_the_answer_and_is_said_to_reach_it(tmp_path: Path) -> None:
    first, detail = answer(synthesis(tmp_path, {"unguided": {"control": True}, "guided": GUIDED}))
    assert "median picture of guided" in first
    assert "the interval of unguided reaches into that of guided" in detail


@pytest.mark.parametrize("count", [1, 5])
def test_fewer_than_six_pictures_have_a_range_and_no_interval(count: int, tmp_path: Path) -> None:
    found = synthesis(tmp_path, {"unguided": {"control": True}, "guided": GUIDED}, count=count)
    for row in found.rows:
        facts, values = row.facts(), row.values["guide"]
        assert (facts["low"]["guide"], facts["high"]["guide"]) == (values.min(), values.max())
        assert (facts["n"], facts["span"]) == (count, "range")
    _, detail = answer(found)
    assert "(range " in detail and "reaches into" not in detail and RANGES in detail
    page = render(found)
    words = words_of(page)
    assert "bootstrap" not in words and "95 % interval" not in words and words.count(SPANS["range"]) == 2
    assert page.count("<small>range ") == 2 and f"</td><td>{count}</td><td>" in page
    assert f", n {count})</title>" in page


def test_six_pictures_have_an_interval_that_is_narrower_than_their_range(tmp_path: Path) -> None:
    found = synthesis(tmp_path, {"guided": GUIDED, "unguided": {"control": True}}, count=FEW)
    assert {row.span for row in found.rows} == {"interval"} and RANGES not in answer(found)[1]
    words = words_of(render(found))
    assert words.count(SPANS["interval"]) == 2 and "range" not in words.partition("Every method")[0]


def test_a_random_region_is_one_draw_and_the_page_says_so(tmp_path: Path) -> None:
    lone = synthesis(tmp_path / "a", {"guided": GUIDED, "unguided": {"control": True}})
    assert "random draw" not in words_of(render(lone))
    found = synthesis(tmp_path / "b", {"guided": GUIDED, "random_region": {"control": True}})
    assert "voxels of random region are one random draw by the seed: its interval" in words_of(render(found))


def test_the_best_of_several_methods_was_chosen_by_its_number_and_the_page_says_so(tmp_path: Path) -> None:
    lone = synthesis(tmp_path / "a", {"guided": GUIDED, "unguided": {"control": True}})
    assert "was chosen by" not in words_of(render(lone))
    found = synthesis(tmp_path / "b", {"guided": GUIDED, "retrieval": {}, "unguided": {"control": True}})
    assert "Of 2 methods guided has the highest median by this scorer: it was chosen" in words_of(render(found))


def test_an_older_folder_is_read_by_the_names_that_controls_had(tmp_path: Path) -> None:
    found = synthesis(tmp_path, {"guided": {}, "random_region": {}, "unguided": {}}, strips=False)
    page = render(found)
    assert [row.row for row in found.controls] == ["random_region", "unguided"]
    assert "Along the trajectory" not in page and "How the objective rose" not in page


def test_without_controls_the_page_says_that_nothing_was_compared(tmp_path: Path) -> None:
    assert NOTHING_COMPARED in words_of(render(synthesis(tmp_path, {"guided": GUIDED})))


def test_a_trajectory_is_shown_step_by_step_with_the_objective(tmp_path: Path) -> None:
    found = synthesis(tmp_path, {"guided": GUIDED, "unguided": {"control": True}})
    page = render(found)
    for step in STEPS:
        assert f'alt="guided, picture 1 at step {step} of 20"' in page
        assert f"step {step}<b>{step:.2f}</b>" in page
    assert "finished<b>4.00</b>" in page and "None are stored of unguided" in page
    assert page.index("Along the trajectory") < page.index("How the objective rose")
    steps = re.findall(r'text-anchor="middle">([^<]*)<', page[page.index("How the objective rose") :])
    assert steps[:5] == ["1", "5", "10", "15", "20"] and ">denoising step<" in page
    (tmp_path / TRAJECTORIES / "index.jsonl").unlink()
    assert "Along the trajectory" not in render(found)


def test_the_page_names_units_methods_and_natural_pictures(tmp_path: Path) -> None:
    page = render(synthesis(tmp_path, {"guided": GUIDED, "unguided": {"control": True, "flops": 1e10}}))
    said = words_of(page)
    axes = ("GFLOP a picture", "median response, z-score", "natural median", "natural 99th pct.", "10", "20", "50")
    for words in axes:
        assert f">{words}<" in page
    assert not re.search(r"\bways?\b", said) and "<title>Pictures for FFA-1, subject subj01</title>" in page
    assert "drives it more than all 200 natural pictures do." in said
    assert re.search(r"above \d\d\.\d % of 200 natural pictures", said)
    assert page.index("<h1>") < page.index("<img") < page.index("Every method")
    pictures = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(pictures) == page.count("<img") and pictures[:7] == [
        *(f"guided, picture {number}" for number in range(1, 7)), "unguided, picture 1",
    ]  # fmt: skip


def test_what_costs_nothing_has_a_place_left_of_the_logarithm(tmp_path: Path) -> None:
    page = render(synthesis(tmp_path, {"guided": GUIDED, "retrieval": {"flops": 0.0}}))
    assert ">none<" in page and "retrieval, picture 1" in page


# ---- pictures and colours


def test_many_large_pictures_are_made_smaller_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    few = thumbnails(range(2), lambda seed: noise(seed, 300))
    assert {max(one.width, one.height) for one in few.values()} == {SIDES[0]}
    monkeypatch.setattr(pages_thumbnails, "ROOM", sum(len(one.uri) for one in few.values()) // 2)
    assert {one.width for one in thumbnails(range(2), lambda seed: noise(seed, 300)).values()} < {*SIDES[1:]}
    assert ROOM < 8_000_000 * 0.8


def test_small_pictures_lose_no_bit() -> None:
    (one,) = thumbnails([0], lambda seed: noise(seed, 64)).values()
    assert one.small and one.uri.startswith("data:image/webp;base64,")


def channels(colour: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255


def luminance(colour: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", [0, 1])
def test_a_number_can_be_read_on_the_deepest_cell_in_light_and_dark(scheme: int) -> None:
    text = importlib.resources.files("evaluation.report.pages").joinpath("templates/tokens.css").read_text("utf-8")
    block = text.split(":root")[1 + scheme]
    tokens = {name: channels(value) for name, value in re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block)}
    for colour in ("c0", "c1"):
        ground = DEEPEST / 100 * tokens[colour] + (1 - DEEPEST / 100) * tokens["sheet"]
        lights = sorted((luminance(ground), luminance(tokens["ink"])))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5
    assert math.isclose(luminance(np.ones(3)), 1)
