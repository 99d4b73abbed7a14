"""Pages in a real browser: no wider than the screen, legible in light and dark, and what their one script does."""

from __future__ import annotations

import html
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from evaluation.report.compare import compare
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.pages.strip import every_nth
from evaluation.report.pages.synthesis import render
from evaluation.report.types import Report
from evaluation.samples.writer import SampleWriter
from tests.browser import NEEDED, asked, chromium, complaints, look, overflow, serious
from tests.test_synthesis_page import GUIDED, synthesis

STIMULI = 70
"""More than a page holds."""
WIDTHS = (360, 390, 768, 1000, 1400, 1600)
MARKUP = "</script><img src=x onerror=alert(1)>"
LONG = "a" * 120
HOW = Judging(judge="pixels", bootstrap=100, permutations=0)


def picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC))


def a_run(folder: Path) -> Path:
    """A simulated run of pictures, the first of which are decoded best."""
    with SampleWriter(folder / "samples", simulated="afterimage simulate, seed 0") as writer:
        for i in range(STIMULI):
            name = f"{LONG}{MARKUP}" if i == 0 else f"s{i:02d}"
            labels = {"category": ("faces", "places")[i % 2], "kind": MARKUP if i == 1 else "face"}
            writer.reference(Image.fromarray(picture(i)), stimulus=name, captions=(f"{MARKUP} {i}",), labels=labels)
            share = 1 - i / STIMULI
            for row, other, kept in (("decoded", 1000 + i, share), ("shuffled", 2000 + i, 0), ("retrieval", i, 0.3)):
                mixed = kept * picture(i) + (1 - kept) * picture(other)
                writer.write(
                    Image.fromarray(mixed.astype(np.uint8)), row=row, stimulus=name, index=0, seed=0, method="tiny"
                )
    facts = {"subject": "subj01", "settings": {"recipe": LONG}, "simulated": "afterimage simulate, seed 0"}
    (folder / "card.json").write_text(json.dumps(facts))
    return folder


def heard(folder: Path) -> Path:
    """A run of sounds: tones, and the same with noise."""
    with SampleWriter(folder / "samples", simulated="afterimage simulate, seed 0") as writer:
        for i in range(8):
            time_ = np.arange(8192) / 16000
            tone = (0.4 * np.sin(2 * np.pi * (200 + 90 * i) * time_)).astype(np.float32)
            noise = np.random.default_rng(i).normal(0, 0.05, 8192).astype(np.float32)
            writer.reference(tone, stimulus=f"clip{i}")
            writer.write(tone + noise, row="decoded", stimulus=f"clip{i}", index=0, seed=0, method="tiny")
            writer.write(0.1 * tone, row="retrieval", stimulus=f"clip{i}", index=0, seed=0, method="tiny")
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return evaluate(a_run(tmp_path_factory.mktemp("seen")), how=HOW)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Report:
    how = Judging(judge="mels", bootstrap=100, permutations=0)
    return evaluate(heard(tmp_path_factory.mktemp("heard")), how=how)


@pytest.fixture(scope="module")
def beside(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `afterimage compare` of a run beside a copy of it under a long name."""
    home = tmp_path_factory.mktemp("beside")
    return compare([report.home, Path(shutil.copytree(report.home, home / LONG))], out=home / "compare.html")


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of pictures that were synthesized for a region of a simulated brain, and of two controls."""
    home, plain = tmp_path_factory.mktemp("driven"), {**GUIDED, "control": True, "description": LONG}
    methods = {"guided": GUIDED, "unguided": plain, "random_region": {**plain, "counts": ""}}
    (page := home / "page.html").write_text(render(synthesis(home, methods, simulated="afterimage simulate, seed 0")))
    return page


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads: Path) -> Iterator[Any]:
    with chromium(downloads=downloads) as found:
        yield found


def names(driver: Any) -> list[str]:
    """The stimuli that are shown in the gallery, in their order."""
    script = "return [...document.querySelectorAll('.stimulus:not([hidden]) h3')].map((one) => one.textContent)"
    return list(driver.execute_script(script))


def choose(driver: Any, tool: str, text: str) -> None:
    script = """
    const [box, text] = [document.querySelector(`[data-tool=${arguments[0]}]`), arguments[1]];
    box.value = [...box.options].find((one) => one.textContent === text).value;
    box.dispatchEvent(new Event('change'));
    """
    driver.execute_script(script, tool, text)


def arrived(folder: Path, suffix: str) -> Path:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = list(folder.glob(f"*.{suffix}"))
        if found and found[0].stat().st_size:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no .{suffix} was saved: {list(folder.iterdir())}")


def test_evenly_spaced_are_middles_of_stretches_and_all_where_there_are_few() -> None:
    names = [f"{i:03d}" for i in range(100)]
    assert every_nth(names, 6) == ["008", "025", "041", "058", "075", "091"]
    assert every_nth(names[:5], 6) == names[:5] and every_nth(names, 1) == ["050"]


def test_a_page_holds_sixty_stimuli_by_the_rule_and_its_leaves_hold_all(report: Report) -> None:
    page = report.page.read_text("utf-8")
    assert page.count('<article class="stimulus"') == 60 and len(page) < 8e6
    score = report.score("decoded", "pixcorr")
    assert score is not None
    order = [score.ids[at] for at in np.argsort(-score.values, kind="stable")]
    shown = page.partition('class="strip"')[2].partition("</header>")[0]
    places = [shown.index(f"Seen: {MARKUP} {score.ids.index(name)}".replace("<", "&lt;").replace(">", "&gt;"))
              for name in every_nth(order, 6)]  # fmt: skip
    assert places == sorted(places) and shown.count("<article>") == 6  # the best first
    leaves = [path.read_text("utf-8") for path in sorted((report.folder / "gallery").iterdir())]
    assert [one.count('<article class="stimulus"') for one in leaves] == [35, 35]
    assert all("simulated: afterimage simulate, seed 0" in one for one in leaves)


def test_the_strip_and_the_gallery_have_pictures_and_scores_of_their_own(tmp_path: Path) -> None:
    """Also where the strip shows the same rows: of several decodes it has one, and one score."""
    with SampleWriter(tmp_path / "samples") as writer:
        for i in range(10):
            writer.reference(Image.fromarray(picture(i)), stimulus=f"s{i}")
            for index in range(3):
                drawn = Image.fromarray((0.5 * picture(i) + 0.5 * picture(50 + 3 * i + index)).astype(np.uint8))
                writer.write(drawn, row="decoded", stimulus=f"s{i}", index=index, seed=index, method="tiny")
    page = evaluate(tmp_path, how=HOW).page.read_text("utf-8")
    metrics = json.loads(html.unescape(re.findall(r'data-metrics="([^"]*)"', page)[0]))
    scores = [json.loads(html.unescape(one)) for one in re.findall(r'data-scores="([^"]*)"', page)]
    assert len(scores) == 10 and {len(one) for one in scores} == {len(metrics)} and len(metrics) > 1
    assert page.partition('<div class="stimuli')[2].count("<figcaption>Decoded ") == 30


def test_pictures_are_smaller_and_stimuli_fewer_until_they_fit(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluation.report.pages import gallery

    names = sorted(report.samples.references)
    whole = gallery.Shelf.of(report).fitting(names)
    assert (whole[0].side, len(whole[1])) == (256, 60)
    monkeypatch.setattr(gallery, "ROOM", gallery.Shelf.of(report).stimulus(names[1]).weight * 20)
    shelf, few = gallery.Shelf.of(report).fitting(names)
    held = sum(one.weight for one in shelf.stimuli(few))
    assert shelf.side == 64 and 10 < len(few) < 40 and held < 1.5 * gallery.ROOM


def test_what_stages_took_is_a_line_each_and_a_table(tmp_path: Path) -> None:
    from evaluation.report.costs import FILE, metered, read_costs

    folder = a_run(tmp_path)
    with metered(folder, "decode"):
        sum(range(10**6))
    with pytest.raises(ValueError, match="torn"), metered(folder, "fit"):
        raise ValueError("torn")
    with (folder / FILE).open("a", errors="surrogateescape") as file:
        for odd in ('"many"', "9" * 400, "NaN", "-1"):
            file.write(f'{{"stage": "fit", "seconds": {odd}, "cpu_seconds": 1, "peak_mib": null}}\n')
        file.write('{"stage": "<b>", "seconds": 1, "cpu_seconds": 1, "peak_mib": null}\n\udcff{"stage": "fi')
    with metered(folder, "encoder"):
        pass
    cost, other = read_costs(folder)  # one after another, and after a torn line too
    assert other.stage == "encoder" and cost.stage == "decode" and 0 < cost.cpu_seconds <= cost.seconds + 1
    assert cost.peak_mib is None or cost.peak_mib > 10
    page = evaluate(folder, how=HOW).page.read_text("utf-8")
    table = page.partition('id="costs"')[2].partition("</section>")[0]
    assert re.findall(r"<tr><td>(\w+)</td>", table) == ["decode", "encoder", "evaluate"]
    assert "Not recorded: fit." in table


def test_leaves_of_an_earlier_report_go_and_files_of_others_are_never_touched(tmp_path: Path) -> None:
    from brain.errors import InputError

    folder = a_run(tmp_path / "run")
    out = tmp_path / "out"
    evaluate(folder, how=HOW, out=out)
    (out / "gallery/9.html").write_bytes((out / "gallery/1.html").read_bytes())
    (out / "gallery/.2.html.4194000.part").write_bytes(b"what a killed process has left")
    evaluate(folder, how=HOW, out=out)
    assert sorted(path.name for path in (out / "gallery").iterdir()) == ["1.html", "2.html"]
    (out / "gallery/3.html").write_text("<html>mine</html>")
    with pytest.raises(InputError, match=r"pages of a report's gallery alone, found 3\.html"):
        evaluate(folder, how=HOW, out=out)
    assert (out / "gallery/3.html").read_text() == "<html>mine</html>"


@NEEDED
def test_no_page_is_wider_than_the_screen_and_text_is_legible(
    driver: Any, report: Report, sounds: Report, beside: Path, driven: Path, checkout: Path
) -> None:
    """What is seen lies in build/screenshots afterwards, wide and light, narrow and dark."""
    pages = {"report": report.page, "report-sounds": sounds.page, "report-leaf": report.folder / "gallery/1.html",
             "compare-page": beside, "synthesis-page": driven}  # fmt: skip
    (shots := checkout / "build" / "screenshots").mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        for width in WIDTHS:
            look(driver, width=width)
            driver.get(page.as_uri())
            assert overflow(driver) <= 0, (page, width)
        for dark in (False, True):
            look(driver, width=390 if dark else 1400, dark=dark)
            driver.get(page.as_uri())
            driver.save_screenshot(str(shots / f"{name}-{'dark' if dark else 'light'}.png"))
            driver.execute_script("[...document.querySelectorAll('.stimulus')].slice(4).forEach((one) => one.remove())")
            assert serious(driver) == [], (page, dark)
    assert complaints(driver) == []
    assert all(url.startswith("file://") for url in asked(driver))


@NEEDED
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1000, 800), (1400, 900)])
def test_the_first_screen_holds_the_headline_the_badge_and_pictures(
    driver: Any, report: Report, sounds: Report, driven: Path, width: int, height: int
) -> None:
    for page in (report.page, sounds.page, driven):
        look(driver, width=width, height=height)
        driver.get(page.as_uri())
        low = "(css) => document.querySelector(css).getBoundingClientRect().bottom"
        script = f"return ['h1', '.badge', ':is(.strip, .first) img'].map({low})"
        assert max(driver.execute_script(script)) <= height, page


@NEEDED
def test_the_gallery_sorts_and_filters(driver: Any, report: Report) -> None:
    look(driver, width=1400)
    driver.get(report.page.as_uri())
    assert len(names(driver)) == 60 and names(driver) == sorted(names(driver))
    score = report.score("decoded", "pixcorr")
    assert score is not None
    values = dict(zip(score.ids, score.values.tolist(), strict=True))
    choose(driver, "sort", "PixCorr, best of these 60 first")
    best = [values[name] for name in names(driver)]
    assert best == sorted(best, reverse=True)
    choose(driver, "sort", "PixCorr, worst of these 60 first")
    assert [values[name] for name in names(driver)] == sorted(best)
    group = report.samples.references
    wanted = [name for name in names(driver) if group[name].labels["category"] == "faces"]
    choose(driver, "filter", f"faces ({len(wanted)})")
    assert names(driver) == wanted
    assert driver.find_element(By.CSS_SELECTOR, ".tools output").text == f"{len(wanted)} of 60 shown"
    assert complaints(driver) == []


@NEEDED
def test_pictures_are_enlarged_by_mouse_and_keyboard(driver: Any, report: Report) -> None:
    driver.get(report.page.as_uri())
    first = driver.find_element(By.CSS_SELECTOR, ".stimulus .decoded img")
    driver.execute_script("arguments[0].focus()", first)
    first.send_keys(Keys.ENTER)
    dialog = driver.find_element(By.CSS_SELECTOR, "dialog")
    shown = names(driver)
    assert dialog.is_displayed() and dialog.find_element(By.CSS_SELECTOR, "h3").text == shown[0]
    captions = [one.text for one in dialog.find_elements(By.CSS_SELECTOR, "figcaption")]
    assert captions == ["Seen", "Decoded"]
    assert dialog.find_element(By.CSS_SELECTOR, "img").size["width"] > 250
    dialog.find_element(By.CSS_SELECTOR, "button").send_keys(Keys.ARROW_RIGHT)
    assert dialog.find_element(By.CSS_SELECTOR, "h3").text == shown[1]
    assert serious(driver) == []
    dialog.find_element(By.CSS_SELECTOR, "button").send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed() and complaints(driver) == []


@NEEDED
def test_a_figure_is_saved_as_svg_and_png_and_says_whose_brain(driver: Any, report: Report, downloads: Path) -> None:
    from xml.etree import ElementTree

    driver.get(report.page.as_uri())
    choose(driver, "sort", "PixCorr, best of these 60 first")
    shown = names(driver)
    for kind in ("svg", "png"):
        driver.execute_script("document.querySelector(arguments[0]).click()", f"[data-tool={kind}]")
    root = ElementTree.parse(arrived(downloads, "svg")).getroot()
    space = "{http://www.w3.org/2000/svg}"
    texts = [one.text or "" for one in root.iter(f"{space}text")]
    assert len(list(root.iter(f"{space}image"))) == 6 * 4  # seen, decoded, retrieval, shuffled
    assert all(any(name[:12] in text for text in texts) for name in shown[:6])
    assert any("simulated: afterimage simulate, seed 0" in text for text in texts)
    said = " ".join(texts)
    assert f"6 of the 60 in this page of {STIMULI} tested, by PixCorr, best of these 60 first" in said
    with Image.open(arrived(downloads, "png")) as figure:
        assert figure.size == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
        assert np.asarray(figure.convert("RGB"), np.float64).std() > 20
    assert complaints(driver) == []


@NEEDED
def test_all_is_there_without_scripts(driver: Any, report: Report) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(report.page.as_uri())
        assert not driver.find_element(By.CSS_SELECTOR, ".tools").is_displayed()
        assert len(driver.find_elements(By.CSS_SELECTOR, ".stimulus .decoded img")) == 60
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@NEEDED
def test_sounds_are_played_at_one_level(driver: Any, sounds: Report) -> None:
    driver.get(sounds.page.as_uri())
    script = """
    const done = arguments[arguments.length - 1];
    const players = [...document.querySelectorAll('.stimulus:first-child audio')];
    Promise.all(players.map(async (one) => {
      const data = await (await new OfflineAudioContext(1, 16000, 16000).decodeAudioData(
        Uint8Array.from(atob(one.src.split(',')[1]), (letter) => letter.charCodeAt(0)).buffer)).getChannelData(0);
      return [data.length, Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length)];
    })).then(done);
    """
    found = np.array(driver.execute_async_script(script))
    assert len(found) == 3 and set(found[:, 0]) == {8192.0}
    assert found[:, 1] == pytest.approx(found[0, 1], rel=0.05)  # the third was ten times softer
    play = "const one = document.querySelector('.stimulus audio'); await one.play(); return one.duration;"
    assert driver.execute_script(f"return (async () => {{ {play} }})()") == pytest.approx(8192 / 16000, abs=0.01)
    assert complaints(driver) == []
