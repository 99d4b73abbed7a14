"""The demo in a real browser: each tab does what it is for, nothing leaves the machine, screenshots are kept.

Debian's chromium drives it; `make test` installs it. The pictures of every page lie in build/screenshots afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from app.cli import main
from app.demo.session import House
from app.demo.surface import VERTICES, mesh
from brain.data.standardise import SessionScaler
from brain.types import Region
from decode.stages.draw.opened import Opened
from evaluation.samples.read import read_samples
from tests.browser import serious
from tests.served import LEFT_OPEN, served
from tests.surfaces import vertices
from tests.test_demo_uploads import MARKUP, pack_small

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    LEFT_OPEN,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="needs Debian's chromium and chromium-driver; see the Makefile"
    ),
]
QUICK = ("--steps", "10", "--bootstrap", "200", "--permutations", "0")
SIZES = {"wide": (1400, 1000), "phone": (390, 844)}
PATIENCE = 90.0
TABS = ("decode", "listen", "compare", "synthesize", "judge")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run of pictures and one of sounds, small, by the bundled stacks that were really trained."""
    home = tmp_path_factory.mktemp("miniature")
    assert main(["simulate", str(home / "seen"), "--sessions", "2", "--trials", "100"]) == 0
    rows = ("--rows", "decoded", "shuffled", "retrieval", "oracle", "--beside")
    assert main(["study", str(home / "seen"), "--out", str(home / "first"), *rows, *QUICK]) == 0
    assert main(["simulate", str(home / "heard"), "--modality", "sound", "--sessions", "2", "--trials", "30"]) == 0
    rows = ("--rows", "decoded", "shuffled", "retrieval", "--beside")
    sound = ["study", str(home / "heard"), "--recipe", "c2f-miniature", "--out", str(home / "listen")]
    assert main([*sound, *rows, *QUICK]) == 0
    return home / "first", home / "listen"


@pytest.fixture(scope="module")
def demo(runs: tuple[Path, Path]) -> Iterator[tuple[House, int]]:
    beside = runs[0].with_name("second")
    shutil.copytree(runs[0], beside)
    with served((*runs, beside)) as found:
        yield found


@pytest.fixture(scope="module")
def screenshots(checkout: Path) -> Path:
    folder = checkout / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Page:
    """One browser with one tab on the demo."""

    def __init__(self, port: int, *, size: str = "wide", dark: bool = False) -> None:
        os.environ["SE_OFFLINE"] = "true"
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio"):
            options.add_argument(flag)
        options.binary_location = str(BROWSER)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        self.width, self.height = SIZES[size]
        self.name = f"{size}-{'dark' if dark else 'light'}"
        self._resize(self.height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.get(f"http://127.0.0.1:{port}/")
        self.wait(lambda: self.all("#decode-view .tile"), "the first stimulus")

    def _resize(self, height: int) -> None:
        facts = {"width": self.width, "height": height, "deviceScaleFactor": 1, "mobile": self.width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", facts)

    def close(self) -> None:
        self.driver.quit()

    def all(self, css: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        return str(self.driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def wait(self, ready: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := ready():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come: {self.text('body')[-1500:]}")

    def click(self, css: str) -> None:
        self.driver.execute_script("document.querySelector(arguments[0]).click()", css)

    def tab(self, name: str) -> None:
        script = "document.querySelector('.overflow-menu > button')?.click()"
        for more in (False, True):  # on a phone some tabs stand in a menu
            if more:
                self.driver.execute_script(script)
            for button in self.all("button[role=tab], .overflow-dropdown button"):
                if button.is_displayed() and str(button.get_attribute("innerText")).strip().lower() == name:
                    button.click()
                    return
        raise AssertionError(f"no tab is called {name}")

    def fill(self, css: str, value: str) -> None:
        box = self.driver.find_element(By.CSS_SELECTOR, css)
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(value, Keys.TAB)

    def bytes_shown(self, css: str) -> list[bytes]:
        """What stands behind every src or href that matches, as bytes."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.getAttribute('src') ?? e.href)"
        return [base64.b64decode(uri.partition(",")[2]) for uri in self.driver.execute_script(script, css)]

    def shot(self, path: Path) -> None:
        """The whole page, not only what fits into the window."""
        tall = self.driver.execute_script("return document.documentElement.scrollHeight")
        self._resize(min(int(tall), 6000))
        time.sleep(0.3)
        self.driver.save_screenshot(str(path))
        self._resize(self.height)

    def complaints(self) -> list[str]:
        """Console errors and warnings, and requests that went anywhere but to this machine."""
        said = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]
        # a page that is left while its stream is open
        said = [one for one in said if "aborted without reason" not in one and "Connection errored out" not in one]
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            url = event.get("params", {}).get("request", {}).get("url", "")
            if event["method"] == "Network.requestWillBeSent" and urlsplit(url).scheme in (
                "http",
                "https",
                "ws",
                "wss",
            ):
                said += [] if urlsplit(url).hostname == "127.0.0.1" else [f"request to {url}"]
        return said

    def fits(self) -> bool:
        """Nothing scrolls sideways, and no text of ours is wider than its box."""
        script = """
          const wide = document.documentElement.scrollWidth <= window.innerWidth;
          const cut = [...document.querySelectorAll('.afterimage :is(h2, h3, h4, p, dt, dd, figcaption, .badge)')]
            .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1)
            .filter(e => getComputedStyle(e).display != 'inline');
          return wide && cut.length == 0"""
        return bool(self.driver.execute_script(script))


@pytest.fixture
def page(demo: tuple[House, int]) -> Iterator[Page]:
    found = Page(demo[1])
    yield found
    complaints = found.complaints()
    found.close()
    assert complaints == []


def test_a_slider_at_a_value_of_no_run_draws_what_the_command_draws(
    page: Page, runs: tuple[Path, Path], screenshots: Path, tmp_path: Path
) -> None:
    """The picture comes while it is denoised, with a bar and an estimate; the last one is the command's, by sha256."""
    page.wait(lambda: page.all("#decode-rest .bars"), "what the brain gave")
    assert "simulated brain" in page.text("#component-0, .head, body")
    page.fill("#decode-strength input[type=number]", "0.37")
    page.fill("#decode-steps input[type=number]", "60")
    page.fill("#decode-seed input", "11")
    page.click("#decode-draw")
    page.wait(lambda: page.all("#decode-drawn .running progress[value]") and page.all("#decode-drawn img"), "a preview")
    page.driver.save_screenshot(str(screenshots / "drawing.png"))
    seen = page.bytes_shown("#decode-drawn .tiles.main img")
    page.wait(lambda: "s left" in page.text("#decode-drawn .what"), "an estimate")
    page.wait(lambda: page.all("#decode-drawn .done"), "the picture")
    (shown,) = page.bytes_shown("#decode-drawn .tiles.main img")
    assert "others" in page.text("#decode-drawn .rank") and shown != seen[0]
    page.click("#decode-drawn summary")
    command = page.text("#decode-drawn code").replace("FOLDER", str(tmp_path / "again"))
    assert "--strength 0.37" in command and "--steps 60" in command and "--seed 11" in command
    assert main(shlex.split(command)[1:]) == 0
    (drawn,) = read_samples(tmp_path / "again", references=None).of("decoded")
    assert hashlib.sha256(shown).hexdigest() == drawn.sha256
    assert not (runs[0] / "again").exists()


def test_a_link_comes_to_its_state_and_silenced_regions_draw_what_the_command_draws(
    page: Page, demo: tuple[House, int], screenshots: Path, tmp_path: Path
) -> None:
    page.wait(lambda: page.all("#decode-rest .bars"), "what the brain gave")  # nothing is on its way when one leaves
    name = demo[0].run("second").stimuli[3]
    page.driver.get(f"http://127.0.0.1:{demo[1]}/?tab=decode&run=second&stimulus={name}&seed=7&steps=10&silence=V1")
    page.wait(lambda: page.text("#decode-view h2") == name, "the stimulus of the link")
    page.wait(lambda: page.all("#decode-seed input")[0].get_attribute("value") == "7", "the seed of the link")
    page.wait(lambda: "V1" in page.text("#decode-silenced"), "the region of the link")
    page.click("#decode-draw")  # at once: the change of the stimulus, which may still come, does not end it
    page.wait(lambda: page.all("#decode-drawn :is(.done, .failed)"), "the picture")
    assert page.all("#decode-drawn .done"), page.text("#decode-drawn")
    (shown,) = page.bytes_shown("#decode-drawn .tiles.main img")
    assert "Silenced: V1." in page.text("#decode-drawn")
    page.click("#decode-drawn summary")
    command = page.text("#decode-drawn code").replace("FOLDER", str(tmp_path / "again"))
    assert "--silence V1" in command and "--seed 7" in command and main(shlex.split(command)[1:]) == 0
    (drawn,) = read_samples(tmp_path / "again", references=None).of("decoded")
    assert hashlib.sha256(shown).hexdigest() == drawn.sha256
    page.shot(screenshots / "silenced.png")
    link = page.all("#decode-drawn .linked a")[0].get_attribute("href")
    page.driver.get(link)
    page.wait(lambda: "V1" in page.text("#decode-silenced"), "the region of the link")


def test_two_runs_beside_each_other(page: Page, demo: tuple[House, int], screenshots: Path) -> None:
    page.wait(lambda: page.all("#decode-rest .bars"), "what the brain gave")
    name = demo[0].run("first").stimuli[2]
    page.driver.get(f"http://127.0.0.1:{demo[1]}/?tab=compare&run=first&other=second&stimulus={name}")
    page.wait(lambda: page.text("#compare-view h2") == name, "the stimulus of the link")
    assert [one.text for one in page.all("#compare-view .side h3")] == ["Seen", "first", "second"]
    assert page.text("#compare-view").count("simulated brain") == 2
    page.shot(screenshots / "compare.png")
    page.click("#compare-next")
    page.wait(lambda: page.text("#compare-view h2") == demo[0].run("first").stimuli[3], "the next stimulus")


def test_a_drawing_is_stopped_where_it_is(page: Page) -> None:
    page.fill("#decode-steps input[type=number]", "100")
    page.fill("#decode-strength input[type=number]", "1")
    page.fill("#decode-samples input[type=number]", "4")
    page.click("#decode-draw")
    page.wait(lambda: page.all("#decode-drawn .running progress[value]"), "a step")
    page.click("#decode-stop")
    page.wait(lambda: page.all("#decode-drawn .stopped"), "the stop")
    assert "nothing was kept" in page.text("#decode-drawn .what")


def test_arrow_keys_step_while_the_panel_has_the_focus_and_only_then(page: Page) -> None:
    first = page.text("#decode-view h2")
    page.driver.execute_script("document.querySelector('#decode-view').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    second = page.wait(
        lambda: page.text("#decode-view h2") not in ("", first) and page.text("#decode-view h2"), "the next"
    )
    page.wait(lambda: "2 of" in page.text("#decode-view .place"), "its place")
    box = page.driver.find_element(By.CSS_SELECTOR, "#decode-seed input")
    box.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    time.sleep(0.5)
    assert page.text("#decode-view h2") == second
    page.driver.execute_script("document.querySelector('#decode-view').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    page.wait(lambda: page.text("#decode-view h2") == first, "the first again")


@pytest.fixture
def on_fsaverage(demo: tuple[House, int]) -> Iterator[NDArray[np.float32]]:
    """The run of pictures as if its data lay on fsaverage5, all but the frontal lobe; the mesh (hemisphere, vertex, 3).

    EBA is around the left hemisphere's most lateral vertex and strongly above its mean at every test stimulus, FFA-1
    around the right one's and below; elsewhere, which the run's card does not have, lies between.
    """
    known = demo[0].prepare("first")
    assert known.opened is not None
    opened, at, sides = known.opened, mesh().inflated, np.repeat([0, 1], VERTICES)
    near = [np.linalg.norm(at[side] - at[side][lateral_of(at, side)], axis=1) < 25 for side in (0, 1)]
    masks = {"EBA": np.append(near[0], near[0] & False), "FFA-1": np.append(near[1] & False, near[1])}
    kept = at.reshape(-1, 3)[:, 1] < 40
    masks["elsewhere"] = ~masks["EBA"] & ~masks["FFA-1"] & (at.reshape(-1, 3)[:, 1] > 20)
    real = opened.recording.responses
    space = vertices(np.tile(np.arange(VERTICES), 2)[kept], np.array(["L", "R"])[sides[kept]])
    values = np.random.default_rng(0).standard_normal((len(real.values), len(space))).astype(np.float32)
    tested = real.of(opened.folds[0].test)
    values += 8 * tested[:, None] * (1.0 * masks["EBA"] - masks["FFA-1"])[kept].astype(np.float32)
    regions = tuple(Region(name=name, atlas=name, mask=mask[kept]) for name, mask in masks.items())
    responses = replace(real, values=values, space=space)
    recording = replace(opened.recording, responses=responses, regions=regions, ncsnr=None, simulated="")
    moved = Opened(run=opened.run, settings=opened.settings, data=opened.data)
    moved.__dict__.update({"recording": recording, "folds": opened.folds})
    scalers = {fold.name: SessionScaler.fit(responses, responses.of(fold.train)) for fold in opened.folds}
    demo[0]._prepared["first"] = replace(known, opened=moved, scalers=scalers)
    yield at
    demo[0]._prepared["first"] = known


def lateral_of(at: NDArray[np.float32], side: int) -> int:
    """The vertex of a hemisphere that lies farthest out."""
    return int((at[side, :, 0] * (-1, 1)[side]).argmax())


def test_a_region_of_a_surface_is_clicked_for_synthesis(
    on_fsaverage: NDArray[np.float32], demo: tuple[House, int], screenshots: Path
) -> None:
    """The canvas shows each hemisphere from its own side; a vertex is where geometry puts it, red above its mean."""
    page = Page(demo[1])
    look = "return document.querySelector('#decode-rest canvas')?.dataset.look ?? ''"
    page.wait(lambda: page.driver.execute_script(look) == "90 0 1.00", "the surface")
    canvas = page.driver.find_element(By.CSS_SELECTOR, "#decode-rest canvas")
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    wide, high = canvas.rect["width"], canvas.rect["height"]
    scale = min(wide / 2 / 232, high / 150)

    def place_of(side: int) -> tuple[float, float]:
        """From the canvas' centre: the front of the left hemisphere is at its left, that of the right at its right."""
        _, y, z = on_fsaverage[side, lateral_of(on_fsaverage, side)]
        return wide * (side - 0.5) / 2 + scale * y * (-1, 1)[side], -scale * z

    def pixels() -> NDArray[np.uint8]:
        return np.asarray(Image.open(io.BytesIO(canvas.screenshot_as_png)).convert("RGB"))

    shown = pixels()
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 500
    for side in (0, 1):
        x, y = place_of(side)
        red, _, blue = shown[round(shown.shape[0] / 2 + y), round(shown.shape[1] / 2 + x)].astype(int)
        assert (red > 2 * blue) if side == 0 else (blue > 2 * red)
    for side, name in ((0, "EBA"), (1, "FFA-1")):
        x, y = place_of(side)
        ActionChains(page.driver).move_to_element_with_offset(canvas, round(x), round(y)).click().perform()
        page.wait(lambda name=name: f"{name} is chosen" in page.text("#decode-rest .chosen"), f"the choice of {name}")
        assert page.text("#decode-rest .cortex figcaption").startswith(f"{name}: z {'+−'[side]}")
    canvas.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_UP)
    page.wait(lambda: page.driver.execute_script(look) == "100 10 1.00", "the turned surface")
    assert (pixels() != shown).any(-1).mean() > 0.2
    assert [one.text for one in page.all("#decode-rest .bars button")] == ["EBA", "FFA-1"]  # those of the run's card
    page.driver.find_element(By.CSS_SELECTOR, "#decode-rest [data-region=EBA]").send_keys(Keys.ENTER)
    page.wait(lambda: "EBA is chosen" in page.text("#decode-rest .chosen"), "the choice by a key")
    page.driver.find_element(By.CSS_SELECTOR, "#decode-rest .go").send_keys(Keys.ENTER)
    chosen = "return document.querySelector('#synthesize-region input')?.value"
    page.wait(lambda: page.driver.execute_script(chosen) == "EBA", "the region in its tab")
    assert page.complaints() == []
    page.close()


def test_sounds_are_heard_and_drawn_again(page: Page, screenshots: Path) -> None:
    page.tab("listen")
    page.wait(lambda: page.all("#listen-rest .bars"), "what the brain gave")
    play = """const done = arguments[arguments.length - 1]; const sound = document.querySelector('#listen-view audio');
      sound.addEventListener('playing', () => done(sound.duration)); sound.play().catch(e => done(String(e)))"""
    assert page.driver.execute_async_script(play) > 1
    page.fill("#listen-strength input[type=number]", "0.55")
    page.fill("#listen-steps input[type=number]", "60")
    page.click("#listen-draw")
    running = ("#listen-drawn .running progress[value]", "#listen-drawn .tile img")
    page.wait(lambda: all(page.all(css) for css in running), "a spectrogram on its way")
    page.wait(lambda: page.all("#listen-drawn .done"), "the sound")
    (drawn,) = page.bytes_shown("#listen-drawn .tiles.main a[download]")
    assert drawn[:4] == b"RIFF" and page.all("#listen-drawn .tiles.main audio")
    page.shot(screenshots / "listen.png")


def test_the_predicted_activation_rises_with_the_picture(page: Page, screenshots: Path) -> None:
    page.tab("synthesize")
    page.wait(lambda: page.all("#synthesize-make"), "the button")
    page.fill("#synthesize-pictures input[type=number]", "2")
    page.click("#synthesize-make")
    page.wait(lambda: "natural pictures" in page.text("#synthesize-view .what"), "what it begins with")
    page.wait(lambda: page.all("#synthesize-view .running") and page.all("#synthesize-view .chart"), "the chart")
    page.driver.save_screenshot(str(screenshots / "synthesizing.png"))
    page.wait(lambda: page.all("#synthesize-view .done"), "the pictures")
    table = page.text("#synthesize-view .plain")
    assert "the simulated cortex itself" in table and "a second encoder" in table and table.count("above") == 6
    assert len(page.all("#synthesize-view .tiles.main img")) == 2
    page.shot(screenshots / "synthesize.png")


def test_the_ladder_and_the_worst_before_the_best(page: Page, screenshots: Path) -> None:
    page.tab("judge")
    page.wait(lambda: page.all("#judge-ladder .panel svg"), "the ladder")

    def scores() -> list[float]:
        return [float(one.text) for one in page.all("#judge-sorted .strip h4 span")]

    worst = scores()
    assert len(worst) >= 4 and worst == sorted(worst)
    page.shot(screenshots / "judge.png")
    page.click("#judge-order label:nth-of-type(2) input")
    page.wait(lambda: scores() == sorted(worst, reverse=True) and scores() != worst, "the best first")


@pytest.mark.parametrize(("size", "dark"), [("wide", False), ("phone", True)])
def test_every_tab_fits_a_wide_screen_and_a_phone_in_both_lights(
    demo: tuple[House, int], screenshots: Path, size: str, dark: bool
) -> None:
    page = Page(demo[1], size=size, dark=dark)
    page.wait(lambda: page.all("#decode-rest .bars"), "what the brain gave")
    assert page.driver.execute_script("return document.body.classList.contains('dark')") is dark
    for name in TABS:
        page.tab(name)
        page.wait(lambda name=name: page.all(f"#{name}-view, #judge-ladder .panel"), name)
        time.sleep(0.3)
        assert page.fits(), f"{name} at {page.name}"
        assert serious(page.driver) == [], f"{name} at {page.name}"
        page.shot(screenshots / f"{name}-{page.name}.png")
    assert "What decoding is not" in page.text("body") and page.complaints() == []
    page.close()


def test_data_of_one_s_own_are_sent_by_the_keyboard_and_looked_through(
    page: Page, screenshots: Path, tmp_path: Path
) -> None:
    """A file that is none is refused in a sentence; markup in names is text; the page fits a phone too."""
    page.tab("your data")
    file = page.wait(lambda: page.all("#uploads-file"), "the box")[0]
    page.wait(lambda: page.all("#uploads-token [data-token]"), "the secret")
    (tmp_path / "bad.h5").write_bytes(b"\x80\x04\x95pickle")
    for path, says in ((tmp_path / "bad.h5", "a Python pickle"), (pack_small(tmp_path / "own.h5"), "Uploaded")):
        file.send_keys(str(path))
        page.driver.execute_script("arguments[0].focus()", file)
        webdriver.ActionChains(page.driver).send_keys(Keys.TAB, Keys.ENTER).perform()
        page.wait(lambda says=says: says in page.text("#uploads-status"), says)
    page.wait(lambda: page.all("#uploads-checked .facts"), "what the file holds")
    assert f"{MARKUP} (40)" in page.text("#uploads-checked") and "pixels-ridge" in page.text("#uploads-checked")
    assert not page.all("#uploads-checked img") and page.all("#uploads-study:not([disabled])")
    assert page.fits()
    page.shot(screenshots / "uploads.png")
    page.width = SIZES["phone"][0]
    page._resize(SIZES["phone"][1])
    time.sleep(0.3)
    assert page.fits()
    page.shot(screenshots / "uploads-phone.png")
    assert ["415" in one for one in page.complaints()] == [True]  # a browser notes each answer that is a refusal


@pytest.mark.parametrize("size", SIZES)
def test_a_report_is_as_wide_as_the_screen(demo: tuple[House, int], runs: tuple[Path, Path], size: str) -> None:
    page = Page(demo[1], size=size)
    for run in runs:
        page.driver.get((run / "report/report.html").as_uri())
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= page.width, run.name
    page.close()


def test_two_browsers_see_nothing_of_each_other(demo: tuple[House, int]) -> None:
    one, two = Page(demo[1]), Page(demo[1])
    one.fill("#decode-seed input", "5")
    two.fill("#decode-seed input", "6")
    one.click("#decode-draw")
    one.wait(lambda: one.all("#decode-drawn .done"), "the first's picture")
    assert not two.all("#decode-drawn img")
    two.click("#decode-draw")
    two.wait(lambda: two.all("#decode-drawn .done"), "the second's picture")
    shown = [page.bytes_shown("#decode-drawn .tiles.main img")[0] for page in (one, two)]
    assert shown[0] != shown[1] and "--seed 5" in one.driver.page_source
    assert one.complaints() == [] and two.complaints() == []
    one.close()
    two.close()


def test_fifty_clicks_and_a_tab_closed_in_the_middle_leave_the_server_well(demo: tuple[House, int]) -> None:
    house, port = demo
    page = Page(port)
    count = int(page.text("#decode-view .place").split()[-1])
    fifty = "for (let i = 0; i < 50; i++) document.querySelector(arguments[0]).click()"
    page.driver.execute_script(fifty, "#decode-draw")
    page.wait(lambda: page.all("#decode-drawn .done"), "one drawing, the first")
    page.driver.execute_script(fifty, "#decode-next")
    page.driver.execute_script(fifty, "#decode-draw")
    time.sleep(1)
    listed = "return document.querySelector('#decode-stimulus input').value"
    page.wait(
        lambda: str(page.driver.execute_script(listed)).startswith(page.text("#decode-view h2") or "-"), "one stimulus"
    )
    assert 1 <= int(page.text("#decode-view .place").split()[0]) <= count
    page.wait(lambda: not page.all("#decode-drawn .running, #decode-drawn .waiting"), "the end of it")
    page.fill("#decode-steps input[type=number]", "100")
    page.fill("#decode-samples input[type=number]", "4")
    page.click("#decode-draw")
    page.wait(lambda: page.all("#decode-drawn .running progress[value]"), "a drawing again")
    page.close()  # in the middle of it
    end = time.monotonic() + PATIENCE
    while list(house.folder.glob("*/*/samples")) and time.monotonic() < end:
        time.sleep(0.1)
    assert not list(house.folder.glob("*/*/samples"))  # what was drawn went with the tab
    after = Page(port)
    after.click("#decode-draw")
    after.wait(lambda: after.all("#decode-drawn .done"), "a picture for the next one")
    after.close()
