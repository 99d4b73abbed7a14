"""Sounds before the judge: known answers, what is refused, set distances by closed forms, the page's players."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.linalg import sqrtm
from scipy.stats import ortho_group
from skimage.metrics import structural_similarity

from brain.errors import CheckpointAbsent, InputError, UsageError
from brain.machine.memory import fresh
from encoders.conditions import Conditions, SpaceCard
from encoders.sounds.mel import DEFAULT, log_mel
from evaluation.export.write import export
from evaluation.find_judge import find_judge, judge_of
from evaluation.judges._parts.weights import FOLDER
from evaluation.judges.sound import MelClassifierJudge
from evaluation.metrics import CATALOGUE, Views
from evaluation.metrics._parts.mels import grey_mels
from evaluation.profiles import find_profile
from evaluation.report.audit import audit
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.pages.gallery import Shelf
from evaluation.report.pages.players import rms
from evaluation.report.types import Report
from evaluation.samples.read import read_samples
from evaluation.samples.rows import RowCard
from evaluation.samples.sounds import described, hear_file, wav_bytes
from evaluation.samples.writer import SampleWriter
from evaluation.score import Chances, own_values
from evaluation.statistics.conditions import ConditionScore, score_conditions, units
from evaluation.statistics.folds import Design
from evaluation.statistics.sets import FLOOR, SetScore, frechet, kernel_distance, set_scores
from tests.rounding import largest, rounding

ROOT = Path(__file__).parents[1]
RATE = 16000
LENGTH = RATE + 320
STIMULI = 12
OURS = [metric for metric in CATALOGUE if type(metric).__module__.endswith(".sounds")]
LABELS = ("category:speech", "category:music", "pitch:low", "pitch:high")
KEPT = rounding(sums=1, scale=1.0)
"""Metrics compute in float64 and keep their tables as float32: relative, or of values up to 1."""


def sound(seed: int, *, length: int = LENGTH, rate: int = RATE) -> NDArray[np.float32]:
    """A gliding harmonic tone with its own pitch, colour and rhythm, and a stretch of noise somewhere."""
    rng = np.random.default_rng(seed)
    time = np.arange(length) / rate
    pitch = rng.uniform(100, 400) * 2 ** (rng.uniform(-0.5, 0.5) * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    wave = sum(rng.uniform(0.1, 1) / k * np.sin(k * phase) for k in range(1, 6))
    beat = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(1, 6) * time + rng.uniform(0, 6))
    wave = wave * beat + 0.01 * rng.normal(size=length)
    hiss = np.abs(time - rng.uniform(0.1, 0.9)) < 0.12
    wave[hiss] = rng.normal(size=hiss.sum())
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def noisy(shown: int, other: int, share: float) -> NDArray[np.float32]:
    return (share * sound(shown) + (1 - share) * sound(1000 + other)).astype(np.float32)


def run(folder: Path) -> Path:
    """A run: oracle holds copies of the references, decoded mixtures of them, shuffled mixtures of other stimuli."""
    with SampleWriter(folder / "samples") as writer:
        for i in range(STIMULI):
            stimulus = f"clip{i:02d}_slide1"
            labels = {"category": ("speech", "music", "animal")[i % 3]}
            writer.reference(sound(i), stimulus=stimulus, captions=("a <tone>",), labels=labels)
            rows = {"decoded": noisy(i, i, 0.8), "shuffled": noisy((i + 5) % STIMULI, i, 0.8), "oracle": sound(i)}
            for row, wave in rows.items():
                held = (row, i) == ("decoded", 3)
                writer.write(
                    None if held else wave, row=row, stimulus=stimulus, index=0, seed=0, method="m", withheld=held
                )
    return folder


def judged(folder: Path, *, references: Path | None = None, judge: str = "mels") -> Report:
    return evaluate(folder, references=references, how=Judging(judge=judge, bootstrap=200, permutations=99))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = run(tmp_path_factory.mktemp("run"))
    write_conditions(folder)
    return judged(folder)


def write_conditions(folder: Path) -> None:
    space = SpaceCard(name="clap", model="m", revision="r", layer="l", normalisation="n", shape=(6,))
    rng = np.random.default_rng(0)
    true = rng.normal(size=(STIMULI, 6)).astype(np.float32)
    ids = tuple(f"clip{i:02d}_slide1" for i in range(STIMULI))
    noise = rng.normal(size=true.shape).astype(np.float32)
    for row, values in {"true": true, "decoded": true + 0.1 * noise, "generated": noise}.items():
        Conditions(space=space, values=values, ids=ids).save(folder / "conditions" / f"clap.{row}.safetensors")


@pytest.fixture(scope="module")
def views() -> tuple[Views, Views]:
    """Mixtures of twelve sounds with others, and the sounds."""
    shown = np.stack([sound(i) for i in range(STIMULI)])
    tried = np.stack([noisy(i, i, 0.8) for i in range(STIMULI)])
    return seen(tried), seen(shown)


def seen(waves: NDArray[np.float32]) -> Views:
    return Views(pixels=np.zeros((len(waves), 0, 0, 3), np.uint8), sounds=described(waves))


def values_of(name: str, samples: Views, references: Views) -> NDArray[np.float32]:
    own = np.arange(len(references))
    return own_values(CATALOGUE[name].marks(samples, references, own=own, blocks=np.zeros_like(own)), own)


def test_copies_are_best_and_others_at_chance(report: Report) -> None:
    for name in (metric.name for metric in OURS):
        oracle, metric = report.score("oracle", name), CATALOGUE[name]
        assert oracle is not None, name
        assert oracle.value == pytest.approx(metric.best, abs=1e-3), name
        decoded, shuffled = report.score("decoded", name), report.score("shuffled", name)
        assert decoded is not None and shuffled is not None
        assert (decoded.value < shuffled.value) if metric.lower else (decoded.value > shuffled.value), name
    values = {row: report.score(row, "two_way") for row in ("oracle", "decoded", "shuffled")}
    assert values["oracle"].value == 1 and values["decoded"].value > 0.9
    assert values["shuffled"].low < 0.5 < values["shuffled"].high + 0.1 and values["shuffled"].p > 0.05
    assert report.rows() == ("decoded", "shuffled", "category_oracle", "oracle")
    assert report.score("decoded", "mel_pcc").withheld == 1
    assert report.score("decoded", "pixcorr") is None and report.profile.name == "clean-sound"


def test_report_says_what_was_heard_and_what_is_absent(report: Report) -> None:
    heard = report.card["evaluation"]["sounds"]
    assert heard["heard as"] == "mono at 16000 Hz, 1.02 s" and heard["silent samples"] == 0
    absent = " ".join(report.absent)
    assert "clap-htsat-unfused" in absent and "ast-finetuned-audioset" in absent
    facts = json.loads((report.folder / "report.json").read_text())
    assert facts["profile"]["name"] == "clean-sound"
    assert {one["metric"] for one in facts["sets"]} == {"fad_mels", "kad_mels"}


def test_what_the_generator_loses_is_a_number(report: Report) -> None:
    (found,) = report.conditions
    assert (found.space, found.n) == ("clap", STIMULI) and found.two_way > 0.95
    assert found.after is not None and found.loss is not None and found.after < 0.8
    assert found.loss == pytest.approx(found.two_way - found.after)
    assert found.loss_low is not None and found.loss_low > 0
    assert conditions_of(report.home / "nowhere", Chances(seed=0, bootstrap=100, permutations=0)) == ()
    page = report.page.read_text()
    assert "Before and after the generator" in page and "As a set" in page


def conditions_of(home: Path, chances: Chances) -> tuple[ConditionScore, ...]:
    return score_conditions(home, chances, design=Design(), blocks={})


def test_intervals_of_conditions_end_where_two_way_does(tmp_path: Path) -> None:
    space = SpaceCard(name="clap", model="m", revision="r", layer="l", normalisation="n", shape=(3,))
    beyond = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = rng.normal(size=(12, 3)).astype(np.float32)
        ids = tuple(f"s{number:02d}" for number in range(12))
        home = tmp_path / str(seed)
        for row, size in (("true", 0.0), ("decoded", 0.3), ("generated", 3.0)):
            values = true + size * rng.normal(size=true.shape).astype(np.float32)
            Conditions(space=space, values=values, ids=ids).save(home / "conditions" / f"clap.{row}.safetensors")
        chances = Chances(seed=0, bootstrap=200, permutations=0)
        (found,) = conditions_of(home, chances)
        loaded = [Conditions.load(home / "conditions" / f"clap.{row}.safetensors") for row in ("decoded", "true")]
        beyond += chances.interval(units(*loaded))[1] > 1
        assert 0 <= found.low <= found.two_way <= found.high <= 1
        assert found.after_low is not None and found.after_low >= 0 and found.loss_high is not None
        assert found.loss_high <= 1
    assert beyond


def test_set_scores_have_a_floor_and_copies_lie_below_it(report: Report) -> None:
    found = {(one.row, one.metric): one for one in report.findings.sets}
    assert found[FLOOR, "fad_mels"].n == STIMULI // 2
    # both traces and the root's sum every feature of every sound, and nothing is left of their spread
    features = find_judge("mels").open().look([sound(i) for i in range(STIMULI)]).features
    bound = rounding(sums=3 * features.size, scale=4 * features.var(axis=0, ddof=1).sum(), dtype=np.float64)
    assert found["oracle", "fad_mels"].value == pytest.approx(0, abs=bound)
    assert found["oracle", "kad_mels"].value < found["decoded", "kad_mels"].value
    for one in found.values():
        assert one.low <= one.value <= one.high or one.row == FLOOR
    assert (found["decoded", "fad_mels"].n, found["decoded", "fad_mels"].references) == (STIMULI - 1, STIMULI)


def test_a_set_score_is_the_same_alone_and_in_company() -> None:
    rng = np.random.default_rng(0)
    names = ("reference", "mean", "decoded")
    rows = {name: {"judge": rng.standard_normal((12, 3)).astype(np.float32)} for name in names}
    ids = {name: [f"s{i}" for i in range(12)] for name in names}

    def scored(*names: str, judge: str = "m") -> dict[tuple[str, str], SetScore]:
        chances = Chances(seed=0, bootstrap=100, permutations=0)
        found = set_scores({name: rows[name] for name in names}, {"judge": judge}, ids=ids, chances=chances)
        return {(one.row, one.metric): one for one in found}

    both, alone = scored("reference", "mean", "decoded"), scored("reference", "decoded")
    assert {key: both[key] for key in alone} == alone and len(both) == 6
    assert alone["decoded", "fad_m"].low != scored("reference", "decoded", judge="n")["decoded", "fad_n"].low


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_plays_the_sounds_and_states_the_axes(report: Report) -> None:
    text = report.page.read_text()
    gallery = Page(text.partition('<div class="stimuli')[2].partition("<dialog")[0]).tags
    players = [attrs["src"] or "" for tag, attrs in gallery if tag == "audio"]
    assert len(players) == 4 * STIMULI - 1  # seen, decoded (one withheld), shuffled, oracle
    waves = []
    for uri in players[:2]:
        wave, rate = soundfile.read(io.BytesIO(base64.b64decode(uri.removeprefix("data:audio/mpeg;base64,"))))
        assert rate == RATE and len(wave) == LENGTH
        waves.append(wave)
    alike = [log_mel(one.astype(np.float32) / rms(one), DEFAULT).ravel() for one in (waves[0], sound(0))]
    assert np.corrcoef(*alike)[0, 1] > 0.9
    assert rms(waves[0]) == pytest.approx(rms(waves[1]), rel=0.02)  # of one level, which mp3 keeps nearly
    assert max(np.abs(wave).max() for wave in waves) < 1
    shown = [attrs["src"] or "" for tag, attrs in gallery if tag == "img"]
    with Image.open(io.BytesIO(base64.b64decode(shown[0].removeprefix("data:image/webp;base64,")))) as picture:
        loud = np.asarray(picture.convert("L"), np.float64)
    assert np.corrcoef(loud.mean(axis=1), high_to_low(log_mel(sound(0), DEFAULT), len(loud)))[0, 1] > 0.9
    assert "8 kHz" in text and "1.02 s" in text and "media-src data:" in text and "sounds was heard" in text
    assert "<tone>" not in text and "Nearest training image" not in text


def high_to_low(mel: NDArray[np.float32], high: int) -> NDArray[np.float64]:
    """(row,) the mean spectrum from the highest band down."""
    return np.interp(np.linspace(0, 63, high), np.arange(64), mel.mean(axis=0)[::-1])


def test_the_page_holds_as_many_stimuli_as_have_room_and_leaves_hold_all(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluation.report.pages import gallery
    from evaluation.report.pages.page import render

    whole = Shelf.of(report).stimulus("clip00_slide1").weight
    monkeypatch.setattr(gallery, "ROOM", 5 * whole)
    pages = render(report)
    inside = pages.page.count('<article class="stimulus"')
    assert 3 <= inside <= 6 and f"{inside} of {STIMULI} stimuli, evenly spaced in the order of " in pages.page
    leaves = dict(pages.leaves)
    names = [re.findall(r"<h3>([^<]+)</h3>", text) for text in leaves.values()]
    assert [name for part in names for name in part] == sorted(report.samples.references)
    assert all(abs(len(part) - len(names[0])) <= 1 for part in names)
    links = [attrs["href"] for tag, attrs in Page(pages.page).tags if tag == "a" and (attrs["href"] or "")[:1] != "#"]
    assert links == [f"gallery/{name}" for name in leaves]
    for text in leaves.values():
        assert text.count("<audio") == text.count("data:audio/mpeg") and "../report.html" in text


def test_audit_and_exports_take_sounds(report: Report) -> None:
    assert "are what the files give" in audit(report.home)
    rdms, key = export(report)
    assert rdms.is_file() and key.is_file()
    human = key.with_name("human")
    page = (human / "index.html").read_text()
    assert page.count("<audio") == 3 and len(list(human.glob("*.wav"))) == 3 * (STIMULI - 1 + STIMULI)
    sample = sorted((report.home / "samples" / "decoded").glob("*.wav"))[0]
    whole = sample.read_bytes()
    sample.write_bytes(whole[:-2] + b"\0\1")
    try:
        with pytest.raises(InputError, match="sha256"):
            audit(report.home)
    finally:
        sample.write_bytes(whole)


# ---- files


def test_the_writer_takes_only_sounds_that_can_be_judged(tmp_path: Path) -> None:
    with SampleWriter(tmp_path) as writer:
        writer.reference(sound(0), stimulus="a")
        facts = {"row": "decoded", "stimulus": "a", "index": 0, "seed": 0, "method": "m"}
        broken = sound(1).copy()
        broken[5] = np.nan
        for wave, says in (
            (np.zeros(LENGTH, np.float32), "silence"),
            (broken, "finite"),
            (sound(1)[:-1], f"expected {LENGTH} samples"),
            (np.stack([sound(1)] * 2), "mono sound"),
            (Image.new("RGB", (4, 4)), "folders of their own"),
        ):
            with pytest.raises(InputError, match=says) as said:
                writer.write(wave, **facts)
            assert "\n" not in str(said.value)
        loud = writer.write(4 * sound(1), **facts)
        writer.write(None, **{**facts, "index": 1}, withheld=True)
    wave, rate = soundfile.read(tmp_path / loud.file, dtype="float32")
    assert rate == RATE and soundfile.info(tmp_path / loud.file).subtype == "PCM_16"
    assert np.abs(wave).max() == pytest.approx(0.99, abs=1e-3)
    assert wave == pytest.approx(sound(1) * 0.99 / 0.5, abs=1e-3)
    with SampleWriter(tmp_path) as writer:
        assert writer.done("decoded", "a") == loud and writer.done("reference", "a") is not None
        with pytest.raises(InputError, match=f"expected {LENGTH} samples"):
            writer.write(sound(1)[:-160], row="oracle", stimulus="a", index=0, seed=0, method="m")
    assert wav_bytes(sound(2), name="x") == wav_bytes(sound(2), name="x")


def test_a_killed_writer_loses_the_sound_in_hand_alone(tmp_path: Path) -> None:
    with SampleWriter(tmp_path) as writer:
        for name in "ab":
            writer.reference(sound(ord(name)), stimulus=name)
    torn = tmp_path / "references" / "b.wav"
    torn.write_bytes(torn.read_bytes()[:-100])
    (tmp_path / "references" / "c.wav.part").write_bytes(b"RIFF")
    with SampleWriter(tmp_path) as writer:
        assert writer.done("reference", "a") is not None and writer.done("reference", "b") is None
        writer.reference(sound(7), stimulus="b")
    assert not list(tmp_path.rglob("*.part")) and len(hear_file(torn)) == LENGTH


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Foreign samples and references of six stimuli, the samples copies."""
    mine, shown = tmp_path / "mine", tmp_path / "shown"
    for folder in (mine, shown):
        folder.mkdir()
        for i in range(6):
            soundfile.write(folder / f"s{i}.wav", sound(i), RATE)
    return mine, shown


def test_a_foreign_folder_of_wavs_is_judged_by_the_command(folders: tuple[Path, Path]) -> None:
    mine, shown = folders
    done = subprocess.run(
        [sys.executable, "-m", "evaluation", mine, "--references", shown, "--judge", "mels", "--bootstrap", "100",
         "--permutations", "9"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mel_pcc" in done.stdout and done.stdout.splitlines()[-1].endswith("report.html")
    assert "decoded  1.000 [0.541, 1.000]" in done.stdout  # six of six


def test_two_rates_channels_and_longer_sounds_are_one_sound(folders: tuple[Path, Path]) -> None:
    mine, shown = folders
    high = sound(1, length=LENGTH * 3, rate=3 * RATE)
    soundfile.write(shown / "s1.wav", high, 3 * RATE)
    soundfile.write(mine / "s1.wav", np.stack([high, high], axis=1), 3 * RATE)
    soundfile.write(mine / "s2.wav", np.concatenate([sound(2), sound(3)]), RATE)
    found = judged(mine, references=shown)
    assert found.card["evaluation"]["sounds"]["longer ones that were cut at their end"] == 1
    score = found.score("decoded", "mel_pcc")
    assert score is not None and score.values == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("short", r"s3\.wav: expected 1\.02 s as the references last, found 0\.5"),
        ("mixed", "expected pictures or sounds, found both"),
        ("silent reference", "a sound that was heard, found silence"),
        ("uneven", "references of about one length"),
        ("nan", "finite samples"),
        ("torn", "whole wav"),
        ("text", "expected a sound"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(folders: tuple[Path, Path], fault: str, says: str) -> None:
    mine, shown = folders
    if fault == "short":
        soundfile.write(mine / "s3.wav", sound(3)[: LENGTH // 2], RATE)
    elif fault == "mixed":
        Image.new("RGB", (8, 8)).save(mine / "s3-1.png")
    elif fault == "silent reference":
        soundfile.write(shown / "s3.wav", np.zeros(LENGTH), RATE)
    elif fault == "uneven":
        soundfile.write(shown / "s3.wav", sound(3)[: LENGTH // 3], RATE)
    elif fault == "nan":
        soundfile.write(mine / "s3.wav", np.full(LENGTH, np.nan), RATE, subtype="FLOAT")
    elif fault == "torn":
        (mine / "s3.wav").write_bytes((mine / "s3.wav").read_bytes()[:-5000])
    else:
        (mine / "s3.wav").write_text("no sound")
    with pytest.raises(InputError, match=says) as said:
        judged(mine, references=shown)
    assert "\n" not in str(said.value)


def test_a_silent_sample_is_scored_and_counted(folders: tuple[Path, Path]) -> None:
    mine, shown = folders
    soundfile.write(mine / "s3.wav", np.zeros(LENGTH), RATE)
    found = judged(mine, references=shown)
    assert found.card["evaluation"]["sounds"]["silent samples"] == 1
    assert found.score("decoded", "mel_pcc").values[3] == 0
    assert found.score("decoded", "pitch_accuracy").values[3] == 0
    assert found.score("decoded", "centroid_error").values[3] > 100


def test_judges_and_profiles_know_what_they_look_at(folders: tuple[Path, Path]) -> None:
    mine, shown = folders
    with pytest.raises(UsageError, match="expected pictures to judge, found sounds"):
        judged(mine, references=shown, judge="pixels")
    with pytest.raises(UsageError, match="expected sounds to judge, found pictures"):
        judge_of("mels", "image")
    assert judge_of("", "sound").name == "miniature-sound" and judge_of("", "image").name == "miniature"
    assert find_profile("clean", "sound").name == "clean-sound" and find_profile("clean").name == "clean"
    how = Judging(judge="mels", profile="paper-mindeye2", bootstrap=100, permutations=0)
    found = evaluate(mine, references=shown, how=how)
    assert found.score("decoded", "two_way_strict").value == 1 and found.score("decoded", "pixcorr") is None
    assert any("ssim" in one and "these are sounds" in one for one in found.absent)


# ---- metrics


def test_sounds_and_pictures_have_metrics_of_their_own(views: tuple[Views, Views]) -> None:
    pictures = Views(pixels=np.zeros((4, 16, 16, 3), np.uint8))
    for metric in OURS:
        assert metric.absent(pictures) == "it compares sounds, and these are pictures"
        assert metric.absent(views[1]) == ""
    for name in ("pixcorr", "ssim", "ssim_columns", "lpips", "dreamsim"):
        assert CATALOGUE[name].absent(views[1]) == "it compares pictures, and these are sounds"
    short = seen(np.stack([sound(i)[:3200] for i in range(3)]))
    assert "too short for modulation" in CATALOGUE["modulation_correlation"].absent(short)
    assert CATALOGUE["mel_ssim"].absent(seen(np.stack([sound(0)[:1600]]))).endswith("10 x 64")


@pytest.mark.parametrize("name", [metric.name for metric in OURS])
def test_a_metric_fills_its_table_within_its_bounds(name: str, views: tuple[Views, Views]) -> None:
    metric = CATALOGUE[name]
    own = np.arange(STIMULI)
    marks = metric.marks(*views, own=own, blocks=np.zeros_like(own))
    assert marks.table.shape == (STIMULI, STIMULI) and marks.table.dtype == np.float32
    known = marks.table[np.isfinite(marks.table)]
    assert metric.bounds[0] <= known.min() and known.max() <= metric.bounds[1]
    assert np.isfinite(own_values(marks, own)).sum() > STIMULI / 2
    part = np.array([2, 7])
    few = metric.marks(views[0].take(part), views[1], own=part, blocks=np.zeros_like(own))
    # the longest description is a log-mel, whose cells a correlation sums
    bound = rounding(sums=views[0].sounds["mel"][0].size, scale=largest(known), dtype=np.float64)
    assert few.table == pytest.approx(marks.table[part], rel=KEPT, abs=bound, nan_ok=True)


def test_mel_correlation_and_ssim_equal_numpy_and_scikit_image(views: tuple[Views, Views]) -> None:
    mine, shown = (view.sounds["mel"] for view in views)
    own = np.arange(STIMULI)
    pcc = CATALOGUE["mel_pcc"].marks(*views, own=own, blocks=own * 0).table
    likeness = CATALOGUE["mel_ssim"].marks(*views, own=own, blocks=own * 0).table
    for i, j in ((0, 0), (3, 5), (11, 2)):
        assert pcc[i, j] == pytest.approx(np.corrcoef(mine[i].ravel(), shown[j].ravel())[0, 1], abs=KEPT)
        theirs = structural_similarity(
            grey_mels(mine[i]), grey_mels(shown[j]),
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
        )  # fmt: skip
        assert likeness[i, j] == pytest.approx(theirs, abs=KEPT)


def test_no_sound_is_too_loud_for_the_grey_scale() -> None:
    time = np.arange(RATE) / RATE
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in (60, 125, 440, 2000, 7000)]
    for wave in (*tones, np.sign(tones[0]), np.random.default_rng(0).uniform(-1, 1, RATE)):
        assert 0.8 < grey_mels(log_mel(wave.astype(np.float32), DEFAULT)).max() < 1


def tracks(values: NDArray[np.float64]) -> Views:
    """Views of given pitch tracks (stimulus, frame) alone."""
    pixels = np.zeros((len(values), 0, 0, 3), np.uint8)
    return Views(pixels=pixels, sounds={"f0": values.astype(np.float32), "mel": np.zeros((len(values), 1, 1))})


def test_pitch_metrics_equal_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    shown = 200 * 2 ** rng.normal(0, 0.3, (5, 40))
    mine = shown * 2 ** rng.normal(0, 0.04, shown.shape)
    shown[rng.random(shown.shape) < 0.3], mine[rng.random(mine.shape) < 0.3] = np.nan, np.nan
    shown[4, 5:] = np.nan  # no pitch
    shown[3] = 220.0  # one pitch, which cannot be followed
    samples, references = tracks(mine), tracks(shown)
    found = {name: values_of(name, samples, references) for name in ("f0_error", "f0_correlation", "pitch_accuracy")}
    octaves = rounding(sums=2, scale=1 / np.log(2))  # of two tracks that are kept as float32 in Hz
    for i in range(3):
        both = np.isfinite(mine[i]) & np.isfinite(shown[i])
        apart = 12 * np.abs(np.log2(mine[i][both] / shown[i][both]))
        assert found["f0_error"][i] == pytest.approx(apart.mean(), abs=12 * octaves + KEPT)
        like = np.corrcoef(np.log2(mine[i][both]), np.log2(shown[i][both]))[0, 1]
        spread = min(np.log2(track[i][both]).std() for track in (mine, shown))
        assert found["f0_correlation"][i] == pytest.approx(like, abs=octaves / spread + KEPT)
        assert found["pitch_accuracy"][i] == pytest.approx((apart <= 0.5).sum() / np.isfinite(shown[i]).sum(), abs=KEPT)
    assert np.isnan(found["f0_correlation"][3]) and np.isfinite(found["f0_error"][3])
    assert all(np.isnan(values[4]) for values in found.values())
    flat = tracks(np.full(shown.shape, 300.0))
    assert values_of("f0_correlation", flat, references)[:3] == pytest.approx(0)
    agreed = (np.isfinite(mine) == np.isfinite(shown)).mean(axis=1)
    assert values_of("voicing", samples, references) == pytest.approx(agreed, abs=KEPT)
    octave = values_of("f0_error", tracks(2 * shown), references)
    assert octave[:4] == pytest.approx(12, rel=KEPT)


# ---- sets


def drawn(mean: NDArray[np.float64], cov: NDArray[np.float64], n: int, seed: int) -> NDArray[np.float64]:
    """n points whose mean and covariance (divided by n - 1) are exactly these."""
    raw = np.random.default_rng(seed).normal(size=(n, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / (n - 1))).T
    return white @ np.linalg.cholesky(cov).T + mean


@pytest.mark.parametrize(("n", "d"), [(400, 5), (30, 20)])
def test_frechet_equals_the_closed_form_of_two_gaussians(n: int, d: int) -> None:
    rng = np.random.default_rng(2)
    turns = [ortho_group.rvs(d, random_state=seed) for seed in (3, 4)]
    means, covs = rng.normal(size=(2, d)), [turn @ np.diag(rng.uniform(0.2, 3, d)) @ turn.T for turn in turns]
    closed = ((means[0] - means[1]) ** 2).sum() + np.trace(covs[0] + covs[1] - 2 * sqrtm(covs[0] @ covs[1]).real)
    x, y = (drawn(mean, cov, n, seed) for mean, cov, seed in zip(means, covs, (5, 6), strict=True))
    # means and covariances over n points of d, drawn by two factors and a triangle; then traces of d, and a root of a
    # product whose smallest value is .2 of .2 at least, which a root of it divides
    sums = 2 * n + 3 * d + d**2
    scale = ((means[0] - means[1]) ** 2).sum() + np.trace(covs[0] + covs[1]) * 3 / 0.2
    assert frechet(x, y) == pytest.approx(closed, abs=rounding(sums=sums, scale=scale, dtype=np.float64))
    bound = rounding(sums=3 * n * d, scale=2 * np.trace(covs[0]), dtype=np.float64)
    assert frechet(x, x) == pytest.approx(0, abs=bound) and frechet(x, x + 2) == pytest.approx(4 * d)


def test_few_points_of_one_gaussian_are_far_apart_by_bias_alone() -> None:
    """d = 128, unit trace, n = 60: .94 of the 2 there can be; n = 300: .22 (the reason for the floor)."""
    rng = np.random.default_rng(7)
    for n, about in ((60, 0.94), (300, 0.22)):
        x, y = rng.normal(size=(2, n, 128)) / np.sqrt(128)
        assert frechet(x, y) == pytest.approx(about, abs=0.05)


def test_kernel_distance_is_the_unbiased_sum_and_zero_on_average() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(7, 3)), rng.normal(0.5, 1, (5, 3))
    width = np.median([np.linalg.norm(x[i] - x[j]) for i in range(7) for j in range(i)])

    def kernel(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
        return float(np.exp(-((p - q) ** 2).sum() / (2 * width**2)))

    within = [np.mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (x, y)]
    between = np.mean([kernel(p, q) for p in x for q in y])
    assert kernel_distance(x, y) == pytest.approx(100 * (sum(within) - 2 * between))
    same = [kernel_distance(*rng.normal(size=(2, 20, 8))) for _ in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(len(same)) and min(same) < 0
    apart = [kernel_distance(rng.normal(size=(20, 8)), rng.normal(0.7, 1, (20, 8))) for _ in range(20)]
    assert np.mean(apart) > 5 * np.std(same)


def test_intervals_of_sets_hold_what_is_expected_of_their_size() -> None:
    """The mean over many draws of the same size lies inside the interval of most single draws."""
    rng = np.random.default_rng(9)
    ids = {name: tuple(map(str, range(40))) for name in ("reference", "decoded")}

    def draw() -> dict[str, dict[str, NDArray[np.float32]]]:
        x, y = rng.normal(size=(40, 4)), rng.normal(0.6, 1.2, (40, 4))
        return {"reference": {"judge": x.astype(np.float32)}, "decoded": {"judge": y.astype(np.float32)}}

    many = [draw() for _ in range(100)]
    pairs = [(one["reference"]["judge"], one["decoded"]["judge"]) for one in many]
    expected = {"fad_m": np.mean([frechet(*pair) for pair in pairs])}
    expected["kad_m"] = np.mean([kernel_distance(*pair) for pair in pairs])
    inside = {"fad_m": 0, "kad_m": 0}
    for seed, spaces in enumerate(many[:15]):
        chances = Chances(seed=seed, bootstrap=100, permutations=0)
        for one in set_scores(spaces, {"judge": "m"}, ids=ids, chances=chances):
            if one.row == "decoded":
                inside[one.metric] += one.low <= expected[one.metric] <= one.high
    assert min(inside.values()) >= 12


# ---- judges


def tiny_mel_judge(folder: Path) -> Path:
    """A ResNetForImageClassification of one channel with random weights, saved as the bundled one is."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(
        num_channels=1, embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic",
        num_labels=len(LABELS), id2label=dict(enumerate(LABELS)),
    )  # fmt: skip
    ResNetForImageClassification(config).save_pretrained(folder)
    facts = {"frames": 64, "mean": -4.5, "std": 2.5, "mel": DEFAULT.facts()}
    (folder / "preprocessor.json").write_text(json.dumps(facts))
    return folder


def test_a_mel_classifier_hears_what_its_network_is_given(tmp_path: Path) -> None:
    from transformers import ResNetForImageClassification

    home = tiny_mel_judge(tmp_path / "ear")
    bench = find_judge(str(home)).open()
    shown = [sound(i)[: 64 * 160] for i in range(3)]
    opinion = bench.look(shown)
    model = ResNetForImageClassification.from_pretrained(home).eval()
    given = torch.from_numpy(np.stack([(log_mel(wave, DEFAULT) + 4.5) / 2.5 for wave in shown])[:, None])
    with torch.no_grad():  # one sound a call, as the judge hears: the same bits
        pooled = [model.resnet(fresh(one)).pooler_output for one in given.split(1)]
        logits = torch.cat([model.classifier(one) for one in pooled]).numpy()
    np.testing.assert_array_equal(opinion.features, torch.cat(pooled).flatten(1).numpy())
    np.testing.assert_array_equal(np.concatenate([opinion.scores["category"], opinion.scores["pitch"]], 1), logits)
    assert opinion.verdicts["pitch"].tolist() == [("low", "high")[i] for i in logits[:, 2:].argmax(1)]
    assert bench.card["input"] == "log-mel of 0.64 s, 64 x 64" and len(bench.card["sha256"]) == 64
    long = np.concatenate([shown[0], shown[1]])
    parts = bench.look([long]).features[0]
    assert bench.look([long[: 70 * 160]]).features.shape == (1, 8)
    assert parts == pytest.approx(opinion.features[:2].mean(axis=0), abs=0.2)


def test_a_mel_classifier_judges_a_run(tmp_path: Path) -> None:
    folder = run(tmp_path)
    found = judged(folder, judge=str(tiny_mel_judge(tmp_path / "ear")))
    assert found.score("oracle", "two_way").value == 1 and found.score("decoded", "category") is not None
    assert {one.metric for one in found.findings.sets} == {"fad_ear", "kad_ear"}


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "preprocessor.json"])
def test_absent_or_odd_files_of_a_mel_classifier_are_said(tmp_path: Path, file: str) -> None:
    home = tiny_mel_judge(tmp_path)
    facts = json.loads((home / "preprocessor.json").read_text())
    for odd in ({"mean": [1.0]}, {"std": 0}, {"frames": "many"}, {"mel": {"rates": 1}}):
        (home / "preprocessor.json").write_text(json.dumps({**facts, **odd}))
        with pytest.raises(InputError, match=r"preprocessor\.json: expected"):
            MelClassifierJudge(name="mine", folder=home).open()
    (home / file).unlink()
    with pytest.raises(CheckpointAbsent, match=file.replace(".", r"\.")):
        MelClassifierJudge(name="mine", folder=home).open()


def test_any_audio_classifier_or_clap_may_judge(tmp_path: Path) -> None:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    from encoders.spaces.clap import Clap

    torch.manual_seed(1)
    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_length=100,
        num_mel_bins=32, num_labels=len(LABELS), id2label=dict(enumerate(LABELS)),
    )  # fmt: skip
    ASTForAudioClassification(config).save_pretrained(tmp_path / "ast")
    ASTFeatureExtractor(max_length=100, num_mel_bins=32).save_pretrained(tmp_path / "ast")
    shown = [sound(i) for i in range(3)]
    opinion = find_judge(str(tmp_path / "ast")).open().look(shown)
    assert opinion.features.shape == (3, 16) and set(opinion.scores) == {"category", "pitch"}
    model = ASTForAudioClassification.from_pretrained(tmp_path / "ast").eval()
    with torch.no_grad():
        logits = torch.cat([model.classifier(fresh(one)) for one in torch.from_numpy(opinion.features).split(1)])
    np.testing.assert_array_equal(opinion.scores["pitch"], logits[:, 2:].numpy())

    Clap().tiny(tmp_path / "stack")
    home = tmp_path / "clap"
    (tmp_path / "stack" / "text_encoder").rename(home)
    for file in (tmp_path / "stack" / "feature_extractor").iterdir():
        file.rename(home / file.name)
    bench = find_judge(str(home)).open()
    long = np.concatenate(shown)
    first, again = bench.look([*shown, long]), bench.look([*shown, long])
    assert first.features.shape == (4, 24) and np.array_equal(first.features, again.features)
    norms = np.linalg.norm(first.features.astype(np.float64), axis=1)
    assert norms == pytest.approx(1, abs=KEPT) and not first.verdicts
    np.testing.assert_array_equal(bench.look([shown[1]]).features[0], first.features[1])


@pytest.mark.parametrize("name", ["clap_htsat", "ast_audioset"])
def test_absent_ears_are_said_in_one_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(CheckpointAbsent, match="fetch it by `hf download") as said:
        find_judge(name).open()
    assert "\n" not in str(said.value) and str(tmp_path) in str(said.value)


def test_rows_are_in_the_ladders_order(tmp_path: Path) -> None:
    order = ("decoded", "takagi", "anchored", "direct", "c2f", "whatever", "reranked", "shuffled", "mean", "prior",
             "repeat", "retrieval", "exemplar", "oracle", "round_trip")  # fmt: skip
    places = {"takagi": 10, "anchored": 13, "direct": 14, "c2f": 15, "reranked": 30}
    cards = [RowCard(name=name, title=name.title(), order=place) for name, place in places.items()]
    with SampleWriter(tmp_path, rows=cards) as writer:
        for i in range(2):
            writer.reference(sound(i), stimulus=f"s{i}")
            for row in reversed(order):
                writer.write(sound(i), row=row, stimulus=f"s{i}", index=0, seed=0, method="m")
    assert read_samples(tmp_path, references=None).rows() == order
