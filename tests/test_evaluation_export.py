"""Exports: RDMs that rsatoolbox reads, and a human test that gives nothing away and is scored exactly."""

from __future__ import annotations

import base64
import csv
import hashlib
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import brentq
from scipy.stats import beta

from brain.errors import InputError, StorageError
from brain.files.pictures import open_image
from evaluation.export.human import key_of, score_answers, write_human_test
from evaluation.export.rdms import rdm, rdm_correlation, write_rdms
from evaluation.samples.read import read_samples
from evaluation.samples.types import Samples
from evaluation.samples.writer import SampleWriter
from tests.rounding import rounding

ROOT = Path(__file__).parents[1]
IDS = ("s0", "naïve ü", "100%", "a/b", "s4", "s5", "s6")
QUOTED = ["s0", "na%C3%AFve %C3%BC", "100%25", "a/b", "s4", "s5", "s6"]


def values(seed: int, features: int = 30) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(len(IDS), features)).astype(np.float32)


def test_rsatoolbox_reads_the_rdms_and_agrees(tmp_path: Path) -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox", reason="rsatoolbox is not installed: RDM parity is not tested")
    given = {"decoded": values(0), "references": values(1), "V1 ü": values(2, 9)}
    given["decoded"][3] = 0.5  # a picture without variance
    path = write_rdms(tmp_path / "new" / "rdms.hdf5", given, IDS)
    read = rsatoolbox.rdm.load_rdm(str(path))
    assert (read.n_rdm, read.n_cond, read.dissimilarity_measure) == (3, len(IDS), "correlation")
    assert list(read.rdm_descriptors["name"]) == ["decoded", "references", "V1 %C3%BC"]
    assert list(read.pattern_descriptors["stimulus"]) == QUOTED
    wide = given["references"].astype(np.float64)
    # a mean, a product and its two norms over all features; no correlation is more than 1
    bound = rounding(sums=4 * wide.shape[1] + 4, scale=1.0, dtype=np.float64)
    assert read.get_matrices()[1] == pytest.approx(1 - np.corrcoef(wide), abs=bound)
    theirs = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(wide), method="correlation")
    assert read.dissimilarities[1] == pytest.approx(theirs.dissimilarities[0], abs=bound)
    compared = rsatoolbox.rdm.compare(read, read, method="corr")
    ours = [[rdm_correlation(rdm(a), rdm(b)) for b in given.values()] for a in given.values()]
    # the same sums over all pairs, of distances that lie farther from 0 than from each other
    found = read.dissimilarities
    bound = rounding(sums=4 * found.shape[1] + 4, scale=found.max() / found.std(axis=1).min(), dtype=np.float64)
    assert compared == pytest.approx(np.array(ours), abs=bound)
    assert read.subset("name", "decoded").n_rdm == 1
    assert not list(tmp_path.rglob("*.part"))


def test_rdm_is_one_minus_the_correlation() -> None:
    given = values(3)
    given[2] = 4
    found = rdm(given)
    place = {pair: i for i, pair in enumerate(zip(*np.triu_indices(len(IDS), 1), strict=True))}
    assert found[place[0, 1]] == pytest.approx(1 - np.corrcoef(given[0], given[1])[0, 1])
    assert all(found[i] == 1 for (first, second), i in place.items() if 2 in (first, second))
    assert rdm_correlation(found, found) == pytest.approx(1)
    assert rdm_correlation(found, 3 - 2 * found) == pytest.approx(-1)
    with pytest.raises(InputError, match="as many pairs"):
        rdm_correlation(found, found[:-1])


def test_rdms_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    broken = values(4)
    broken[0, 0] = np.nan
    with pytest.raises(InputError, match=r"'decoded'.*leave out"):
        write_rdms(tmp_path / "a.h5", {"decoded": broken}, IDS)
    with pytest.raises(InputError, match="7 stimuli"):
        write_rdms(tmp_path / "a.h5", {"decoded": values(4)[:5]}, IDS)
    for features, ids in (({}, IDS), ({"decoded": values(4)[:2]}, IDS[:2]), ({"decoded": values(4)}, ("s",) * 7)):
        with pytest.raises(InputError, match="three different stimuli"):
            write_rdms(tmp_path / "a.h5", features, ids)
    with pytest.raises(InputError, match="ends in"):
        write_rdms(tmp_path / "a.npz", {"decoded": values(4)}, IDS)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="room and rights to write"):
        write_rdms(tmp_path / "file" / "a.h5", {"decoded": values(4)}, IDS)
    assert not list(tmp_path.rglob("*.h5"))


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8))


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """Nine stimuli, two rows; the first decode of one is withheld, another has none left, and one id is markup."""
    with SampleWriter(tmp_path / "samples") as writer:
        for i in range(9):
            stimulus = "<b>s0" if i == 0 else f"s{i}"
            writer.reference(picture(i), stimulus=stimulus, captions=("a <script>",))
            for index in range(2):
                held = (i, index) == (4, 0) or i == 5
                image = None if held else picture(100 + 2 * i + index)
                writer.write(
                    image, row="decoded", stimulus=stimulus, index=index, seed=0, method="m", withheld=held
                )  # fmt: skip
            writer.write(picture(200 + i), row="oracle", stimulus=stimulus, index=0, seed=0, method="m")
    return read_samples(tmp_path / "samples", references=None)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def asked(folder: Path) -> list[list[str]]:
    import json

    found = re.search(r'id="trials">(.*?)</script>', (folder / "index.html").read_text(), re.DOTALL)
    assert found is not None
    trials: list[list[str]] = json.loads(found[1])
    return trials


def test_human_test_asks_of_every_stimulus_once_a_row(samples: Samples, tmp_path: Path) -> None:
    folder = tmp_path / "test"
    key = write_human_test(samples, folder, rows=("decoded", "oracle"), seed=3)
    assert key == tmp_path / "test.key.csv" == key_of(folder)
    told, trials = lines(key), {trial[0]: trial[1:] for trial in asked(folder)}
    assert sorted(trials) == sorted(line["trial"] for line in told)
    rows = {row: [line for line in told if line["row"] == row] for row in ("decoded", "oracle")}
    assert len(rows["decoded"]) == 8 and len(rows["oracle"]) == 9  # s5 has nothing to show in the first
    shown = {sample.stimulus: sample for sample in samples.references.values()}
    drawn = {(sample.row, sample.name): sample for sample in samples.samples}
    for line in told:
        pictures = [np.asarray(open_image(folder / f"{name}.png")) for name in trials[line["trial"]]]
        right = ("left", "right").index(line["answer"])
        for found, sample in (
            (pictures[0], shown[line["stimulus"]]),
            (pictures[1 + right], drawn[line["row"], line["sample"]]),
            (pictures[2 - right], drawn[line["row"], line["other"]]),
        ):
            assert np.array_equal(found, np.asarray(samples.open(sample)))
        assert drawn[line["row"], line["sample"]].stimulus == line["stimulus"]
        assert drawn[line["row"], line["other"]].stimulus != line["stimulus"]
    for lot in rows.values():  # everybody is the wrong answer once, and the sides are even
        assert sorted(line["other"] for line in lot) == sorted(line["sample"] for line in lot)
        assert sum(line["answer"] == "left" for line in lot) in (len(lot) // 2, (len(lot) + 1) // 2)
    assert {line["sample"] for line in rows["decoded"]} >= {"s4-1", "s3-0"}


def test_nothing_in_the_folder_gives_the_answer_away(samples: Samples, tmp_path: Path) -> None:
    folder = tmp_path / "test"
    key = write_human_test(samples, folder, rows=("decoded", "oracle"), seed=3)
    names = [path.name for path in folder.iterdir()]
    assert not key.is_relative_to(folder)
    assert len(names) == 1 + 3 * 17 and len(set(names)) == len(names)
    assert all(re.fullmatch(r"[0-9a-f]{24}\.png|index\.html", name) for name in names)
    text = (folder / "index.html").read_text()
    assert not re.search(r"decoded|oracle|\bs\d\b|<b>|answer\"|https?:|//[a-z]", text.replace("answers", ""))
    for path in folder.glob("*.png"):
        with Image.open(path) as stored:
            assert stored.info == {}  # no text beside the pixels
    order = [line["trial"] for line in lines(key)]
    assert [trial[0] for trial in asked(folder)] != order


def test_human_test_runs_its_own_script_only(samples: Samples, tmp_path: Path) -> None:
    write_human_test(samples, tmp_path / "test", seed=0)
    text = (tmp_path / "test" / "index.html").read_text()
    page = Page(text)
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'") and "unsafe" not in policy
    for tag in ("script", "style"):
        found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert found is not None
        named = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{named}'" in policy
    assert not any(key.startswith("on") or key in ("src", "href", "style") for _, a in page.tags for key in a)


def test_seed_decides_the_test(samples: Samples, tmp_path: Path) -> None:
    keys = [write_human_test(samples, tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert keys[0].read_bytes() == keys[1].read_bytes() != keys[2].read_bytes()
    assert (tmp_path / "a/index.html").read_bytes() == (tmp_path / "b/index.html").read_bytes()


def test_a_test_in_use_is_never_overwritten(samples: Samples, tmp_path: Path) -> None:
    write_human_test(samples, tmp_path / "test", seed=0)
    with pytest.raises(InputError, match="give another folder"):
        write_human_test(samples, tmp_path / "test", seed=1)
    for path in (tmp_path / "test").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"key\.csv: expected the test of these samples and this seed"):
        write_human_test(samples, tmp_path / "test", seed=1)
    with pytest.raises(InputError, match=r"found 0; rows here are decoded, oracle"):
        write_human_test(samples, tmp_path / "other", rows=("decode",), seed=1)
    assert not (tmp_path / "other").exists() and not key_of(tmp_path / "other").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="room and rights to write"):
        write_human_test(samples, tmp_path / "file" / "test", seed=1)


def answered(key: Path, path: Path, *, wrong: int, left_out: int = 0) -> Path:
    told = lines(key)
    flip = {"left": "right", "right": "left"}
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["trial", "choice", "ms"])
        for i, line in enumerate(told[left_out:]):
            table.writerow([line["trial"], flip[line["answer"]] if i < wrong else line["answer"], 900 + i])
    return path


def test_answers_are_scored_with_the_exact_interval(samples: Samples, tmp_path: Path) -> None:
    key = write_human_test(samples, tmp_path / "test", rows=("decoded", "oracle"), seed=3)
    decoded, oracle = score_answers(key, answered(key, tmp_path / "answers.csv", wrong=2, left_out=1))
    assert (decoded.row, decoded.correct, decoded.answered, decoded.asked) == ("decoded", 5, 7, 8)
    assert decoded.share == 5 / 7
    # scipy finds the limits of a binomial test as roots, so far as its search goes by itself
    stops = inspect.signature(brentq).parameters["xtol"].default
    assert (decoded.low, decoded.high) == pytest.approx((beta.ppf(0.025, 5, 3), beta.ppf(0.975, 6, 2)), abs=stops)
    assert decoded.p == pytest.approx((21 + 7 + 1) / 2**7)
    assert (oracle.correct, oracle.answered, oracle.high) == (9, 9, 1)
    assert oracle.low == pytest.approx(0.025 ** (1 / 9))
    done = subprocess.run(
        [sys.executable, "-m", "evaluation.export.human", str(key), str(tmp_path / "answers.csv")],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("decoded: 5 of 7 answered right, 0.714 [")
    assert "1 unanswered" in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("unknown", r"line 3: expected a trial of .*give this test's key"),
        ("twice", r"line 10: expected each trial once, found \w+ in line 2 too; keep the first answer"),
        ("time", r"line 2: expected milliseconds, found '-5 nonsense'"),
        ("middle", r"line 2: expected left or right, found 'middle'"),
        ("columns", r"expected the columns trial,choice,ms, found 'trial,pick'"),
        ("short", r"line 10: expected 3 values, found 2"),
        ("none", r"expected answers, found none"),
        ("empty", r"found 'an empty file'"),
        ("bytes", r"expected a table in UTF-8"),
        ("absent", r"expected a table, found no such file"),
    ],
)
def test_answers_that_cannot_be_used_are_one_sentence(samples: Samples, tmp_path: Path, change: str, said: str) -> None:
    key = write_human_test(samples, tmp_path / "test", seed=3)
    path = answered(key, tmp_path / "answers.csv", wrong=0)
    text = path.read_text().splitlines()
    token = text[1].split(",")[0]
    changed = {
        "unknown": [*text[:2], "ffff,left,3", *text[3:]],
        "twice": [*text, f"{token},left,3"],
        "time": [text[0], f"{token},left,-5 nonsense", *text[2:]],
        "middle": [text[0], f"{token},middle,3", *text[2:]],
        "columns": ["trial,pick", *text[1:]],
        "short": [*text, f"{token},left"],
        "none": text[:1],
        "empty": [],
    }
    if change in changed:
        path.write_text("\n".join(changed[change]))
    elif change == "bytes":
        path.write_bytes(b"\xff\xfe\x00")
    else:
        path.unlink()
    with pytest.raises(InputError, match=said) as error:
        score_answers(key, path)
    assert "\n" not in str(error.value) and "; " in str(error.value)


def test_the_key_is_held_as_strictly_as_the_answers(samples: Samples, tmp_path: Path) -> None:
    key = write_human_test(samples, tmp_path / "test", seed=3)
    path = answered(key, tmp_path / "answers.csv", wrong=0)
    text = key.read_text()
    key.write_text(text.replace(",left", ", LEFT").replace(",right", ",Right ").replace("trial,row", "Trial,Row"))
    path.write_text(path.read_text().upper())
    (decoded,) = score_answers(key, path)
    assert decoded.correct == decoded.answered == decoded.asked == 8
    for changed, said in (
        (text + text.splitlines()[1], r"key\.csv line 10: expected each trial once, found \w+ in line 2 too"),
        (text.replace(",left", ",links"), r"key\.csv line \d+: expected left or right, found 'links'"),
    ):
        key.write_text(changed)
        with pytest.raises(InputError, match=said):
            score_answers(key, path)


def test_the_command_says_what_is_wrong_and_leaves_with_its_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evaluation.export.human", str(tmp_path / "key.csv"), str(tmp_path / "answers.csv")],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3 and "Traceback" not in done.stderr and "key.csv: expected" in done.stderr


def test_a_test_that_a_kill_has_cut_short_is_finished_and_a_whole_one_left_alone(
    samples: Samples, tmp_path: Path
) -> None:
    folder = tmp_path / "test"
    key = write_human_test(samples, folder, seed=0)
    whole = {path: path.read_bytes() for path in (key, *folder.iterdir())}
    for path in sorted(folder.iterdir())[::2]:
        path.unlink()
    (folder / f".index.html.{2**22 + 1}.part").write_text("half")
    (folder / "answers.csv").write_text("somebody's")
    assert write_human_test(samples, folder, seed=0) == key
    assert {path: path.read_bytes() for path in whole} == whole
    written = {path: path.stat().st_mtime_ns for path in whole}
    write_human_test(samples, folder, seed=0)
    assert {path: path.stat().st_mtime_ns for path in whole} == written
    assert (folder / "answers.csv").read_text() == "somebody's" and not list(folder.glob("*.part"))


def test_a_test_of_other_pictures_is_refused_before_anything_is_written(samples: Samples, tmp_path: Path) -> None:
    folder = tmp_path / "test"
    key = write_human_test(samples, folder, seed=0)
    page, shown, *_ = sorted(folder.iterdir(), key=lambda path: path.suffix)
    page.unlink()
    picture(7).save(shown)
    with pytest.raises(InputError, match=rf"{shown.name}: expected the test of these samples and this seed"):
        write_human_test(samples, folder, seed=0)
    assert not page.exists() and key.exists()
