"""From a folder to the report: numbers, files, a page whose texts stay texts, and one sentence for what is wrong."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain.errors import InputError, UsageError
from brain.writing.locks import claim
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.types import Report
from evaluation.samples.writer import SampleWriter
from tests.rounding import largest, rounding

ROOT = Path(__file__).parents[1]
MARKUP = "<img src=x onerror=alert(1)> & \"quoted\" </style><script>alert('x')</script>"
STIMULI = 12


def picture(seed: int, side: int = 16) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def blurred(shown: int, other: int, share: float) -> Image.Image:
    return Image.fromarray((share * picture(shown) + (1 - share) * picture(other)).astype(np.uint8))


def run(folder: Path) -> Path:
    """A run with two decodes a stimulus, one of them withheld, a shuffled row and an oracle."""
    with SampleWriter(folder / "samples") as writer:
        for i in range(STIMULI):
            stimulus = f"s{i:02d}"
            captions = (MARKUP,) if i == 0 else ("a dog",)
            labels = {"category": ("faces", "places", "food")[i % 3]}
            writer.reference(Image.fromarray(picture(i)), stimulus=stimulus, captions=captions, labels=labels)
            for index in range(2):
                held = i == 3 and index == 1
                image = None if held else blurred(i, 100 + 2 * i + index, 0.6)
                writer.write(
                    image, row="decoded", stimulus=stimulus, index=index, seed=index, method="tiny", withheld=held
                )
            for row, image in (
                ("shuffled", blurred((i + 5) % STIMULI, 200 + i, 0.6)),
                ("oracle", blurred(i, 300, 0.95)),
            ):
                writer.write(image, row=row, stimulus=stimulus, index=0, seed=0, method="tiny")
    (folder / "card.json").write_text(json.dumps({"subject": "subj01", "split": {"name": "shared", "sha256": "ab"}}))
    return folder


def judged(folder: Path, *, references: Path | None = None, seed: int = 0) -> Report:
    return evaluate(
        folder, references=references, how=Judging(judge="pixels", seed=seed, bootstrap=200, permutations=199)
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = run(tmp_path_factory.mktemp("run"))
    (folder / "report").mkdir()
    regions = [{"name": "V1 <b>", "voxels": 20, "accuracy": 0.4, "ceiling": 0.6}, {"name": "FFA", "accuracy": None}]
    (folder / "report/regions.json").write_text(json.dumps({"measure": "cross-validated r", "regions": regions}))
    return judged(folder)


def test_ladder_is_in_order_and_between_its_ends(report: Report) -> None:
    assert report.rows() == ("decoded", "shuffled", "category_oracle", "oracle")
    values = {row: report.score(row, "two_way") for row in report.rows()}
    assert all(score is not None for score in values.values())
    decoded, shuffled, oracle = values["decoded"], values["shuffled"], values["oracle"]
    assert oracle.value >= decoded.value > 0.8 > shuffled.value
    assert decoded.low > 0.5 and decoded.p == 1 / 200 and shuffled.p > 0.05
    assert decoded.null == shuffled.value and decoded.ceiling == oracle.value
    assert decoded.effect == pytest.approx((decoded.value - shuffled.value) / (oracle.value - shuffled.value))
    assert oracle.effect == 1 and shuffled.effect == 0
    assert values["category_oracle"].value == pytest.approx(1 - 3 / (2 * 11))


def test_withheld_is_counted_and_never_scored(report: Report) -> None:
    decoded = report.score("decoded", "pixcorr")
    assert decoded is not None and (decoded.withheld, decoded.samples, decoded.n) == (1, 2 * STIMULI - 1, STIMULI)
    assert report.card["evaluation"]["withheld"] == 1
    assert "1 sample was withheld" in report.page.read_text()


def test_json_keeps_the_contract(report: Report) -> None:
    facts = json.loads((report.folder / "report.json").read_text())
    assert set(facts) == {
        "answer", "simulated", "said", "stated", "noted", "card", "profile", "rows", "dimensions", "curves", "design",
        "conditions", "embedding_retrieval", "sets", "leaks", "absent", "row_cards", "metric_cards",
    }  # fmt: skip
    wanted = {"row", "metric", "judge", "value", "low", "high", "chance", "n", "pool", "p", "q", "effect"}
    assert all(wanted <= set(row) for row in facts["rows"])
    names = {row["metric"] for row in facts["rows"]}
    pool = f"of_{STIMULI}"
    identified = {"two_way", "two_way_other_recons", "two_way_within_category"}
    assert names == {"pixcorr", "ssim", *identified, f"top1_{pool}", f"top1_other_recons_{pool}"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in facts["rows"])
    assert facts["card"]["run"]["subject"] == "subj01"
    (sentence,) = [sentence for sentence in facts["absent"] if sentence.endswith("the judge names nothing")]
    assert sentence.startswith("category, category_pseudo, label_kind")


def test_csv_holds_what_the_means_are_made_of(report: Report) -> None:
    with (report.folder / "per_stimulus.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    for found in report.scores:
        values = [float(t["value"]) for t in table if (t["row"], t["metric"]) == (found.row, found.metric)]
        bound = rounding(sums=STIMULI, scale=largest(values), dtype=np.float64)
        assert len(values) == STIMULI and np.mean(values) == pytest.approx(found.value, abs=bound)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_is_self_contained_and_text_stays_text(report: Report) -> None:
    source = report.page.read_text()
    page = Page()
    page.feed(source)
    names = {tag for tag, _ in page.tags}
    assert not names & {"iframe", "object", "embed", "link", "form", "base"}
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    links = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    inside = [value for value in links if value is not None and not value.startswith("#")]
    assert inside and all(value.startswith("data:image/") for value in inside)
    anchors = [value[1:] for value in links if value is not None and value.startswith("#")]
    assert anchors == [attributes["id"] for tag, attributes in page.tags if tag == "h2"]  # the contents list
    assert not re.search(r"url\(|@import", source)
    # an address may be read, as in the command that fetches absent weights; nothing may lead there
    assert not any("://" in value for _, attributes in page.tags for value in attributes.values() if value)
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")
    script = source.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy and "unsafe-eval" not in policy
    assert MARKUP in page.text and "V1 <b>" in page.text


def test_gallery_shows_every_stimulus_and_every_decode(report: Report) -> None:
    gallery = report.page.read_text().partition('<div class="stimuli')[2].partition("<dialog")[0]
    assert re.findall(r"<h3>([^<]*)</h3>", gallery) == [f"s{i:02d}" for i in range(STIMULI)]
    alts = re.findall(r'<img src="data:image/webp;base64,[^"]+" alt="([^"]*)"', gallery)
    assert sum(alt.startswith("Seen: ") for alt in alts) == STIMULI
    assert sum(alt.startswith("Decoded ") for alt in alts) == 2 * STIMULI - 1
    assert gallery.count('<div class="hole">withheld</div>') == 1


def test_same_folder_and_seed_give_the_same_numbers(report: Report) -> None:
    again = judged(report.folder.parent)
    assert [score.facts() for score in again.scores] == [score.facts() for score in report.scores]
    other = judged(report.folder.parent, seed=1)
    pairs = list(zip(report.scores, other.scores, strict=True))
    assert all(a.value == b.value for a, b in pairs) and any(a.low != b.low for a, b in pairs)


def test_foreign_folder_beside_references(tmp_path: Path) -> None:
    mine, shown = tmp_path / "mine", tmp_path / "shown"
    mine.mkdir()
    shown.mkdir()
    for i in range(8):
        Image.fromarray(picture(i, 40)).save(shown / f"n{i}.png")
    sizes = ((16, 16), (50, 30), (40, 40), (64, 64))
    for i, mode in enumerate(("RGBA", "L", "CMYK", "P", "RGB", "RGB")):
        Image.fromarray(picture(i)).resize(sizes[i % 4]).convert(mode).save(mine / f"n{i}.{'tif' if i == 2 else 'png'}")
    Image.fromarray(np.asarray(Image.fromarray(picture(6)).convert("L"), np.uint16) * 257).save(mine / "n6.png")
    Image.fromarray(picture(9)).save(mine / "unknown.png")
    report = judged(mine, references=shown)
    found = report.score("decoded", "two_way")
    assert found is not None and found.n == 7 and found.pool == 8 and found.value > 0.85
    known = report.card["evaluation"]
    assert known["references without a sample"] == ["n7"] and known["samples without a reference"] == ["unknown.png"]
    assert report.page == mine / "report/report.html" and report.page.is_file()
    assert judged(mine, references=shown).rows() == ("decoded",)  # the report beside the images is no sample


def test_ten_pixel_patterns_are_judged_without_ssim(tmp_path: Path) -> None:
    with SampleWriter(tmp_path) as writer:
        for i in range(6):
            pattern = Image.fromarray(np.random.default_rng(i).integers(0, 2, (10, 10), np.uint8) * 255).convert("RGB")
            writer.reference(pattern, stimulus=f"p{i}")
            writer.write(pattern, row="decoded", stimulus=f"p{i}", index=0, seed=0, method="pixels")
    report = judged(tmp_path)
    assert report.score("decoded", "ssim") is None and any(line.startswith("ssim:") for line in report.absent)
    found = report.score("decoded", "top1")
    assert found is not None and found.metric == "top1_of_6" and found.value == 1


def test_everything_withheld_is_said_not_scored(tmp_path: Path) -> None:
    with SampleWriter(tmp_path) as writer:
        writer.reference(Image.fromarray(picture(0)), stimulus="a")
        writer.write(None, row="decoded", stimulus="a", index=0, seed=0, method="m", withheld=True)
    with pytest.raises(InputError, match="withheld"):
        judged(tmp_path)


def test_region_map_on_a_glass_brain(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "report").mkdir()
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = (-92, -128, -72)
    labels = np.zeros((23, 28, 23), np.int16)
    labels[9:13, 4:7, 8:11], labels[15:17, 8:10, 5:8] = 1, 2
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "report/regions.nii.gz")
    regions = [{"name": "V1", "accuracy": 0.4, "ceiling": 0.6}, {"name": "FFA", "accuracy": 0.2, "ceiling": 0.5}]
    facts = tmp_path / "report/regions.json"
    facts.write_text(json.dumps({"regions": regions}))
    assert 'class="brain" src="data:image/png' in judged(tmp_path).page.read_text()
    facts.write_text(json.dumps({"regions": regions, "space": "func1pt8mm"}))
    assert "a glass brain would need MNI space" in judged(tmp_path).page.read_text()
    for damaged in ({"regions": regions[:1]}, {"regions": 3}, {"regions": [{"name": "V1", "accuracy": "high"}]}):
        facts.write_text(json.dumps(damaged))
        with pytest.raises(InputError, match="write it again"):
            judged(tmp_path)


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UsageError, match="--bootstrap: expected 100 or more, found 1"):
        Judging(bootstrap=1)
    with pytest.raises(UsageError, match="--permutations: expected 0 to 100000, found 200000"):
        evaluate(tmp_path, how=Judging(permutations=200_000))  # which an old report may have, and is audited by
    with pytest.raises(UsageError, match="judge"):
        evaluate(tmp_path, how=Judging(judge="nobody", bootstrap=200))
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(InputError, match="report: expected a folder, or nothing yet"):
        judged(tmp_path)
    (tmp_path / "report").unlink()
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(InputError, match=r"card\.json"):
        judged(tmp_path)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evaluation", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_command_prints_the_table_and_the_page_last(tmp_path: Path) -> None:
    run(tmp_path)
    done = command(str(tmp_path), "--judge", "pixels", "--bootstrap", "200", "--permutations", "99")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("From what was drawn, the judge tells which of two pictures was seen")
    assert [line.split(":")[0] for line in lines[2:5]] == ["Design", "Null", "What would change the numbers"]
    (at,) = [number for number, line in enumerate(lines) if line.split()[:2] == ["row", "two_way"]]
    assert lines[at + 1].startswith("decoded")
    assert Path(lines[-1]) == (tmp_path / "report/report.html").resolve()


def test_command_leaves_with_the_code_of_what_is_wrong(tmp_path: Path) -> None:
    cases = ((3, (str(tmp_path / "absent"),)), (2, (str(tmp_path), "--judge", "nobody")), (2, ("--what",)))
    for code, arguments in cases:
        done = command(*arguments)
        assert done.returncode == code and "Traceback" not in done.stderr and not done.stdout
    assert command("--help").returncode == 0


def test_judge_knows_no_generator() -> None:
    code = (
        "import sys, evaluation.report.evaluate, evaluation.report.pages.page\n"
        "import evaluation.metrics.pixels, evaluation.judges.pixels\n"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('decode', 'pipelines', 'app', 'torch', 'diffusers', 'transformers', 'matplotlib', 'nilearn')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_same_export_again_does_nothing_new_and_one_under_way_holds_its_place(tmp_path: Path) -> None:
    run(tmp_path)
    words = (str(tmp_path), "--judge", "pixels", "--bootstrap", "200", "--permutations", "9", "--export")
    assert command(*words).returncode == 0
    test = [*(tmp_path / "report/human").iterdir(), tmp_path / "report/human.key.csv"]
    before = {path: path.stat().st_mtime_ns for path in test}
    left = tmp_path / f"report/.report.html.{2**22 + 1}.part"
    left.write_text("left by a kill")
    assert command(*words).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in test} == before and not left.exists()
    with claim(tmp_path / "report"):
        done = command(*words)
    assert done.returncode == 4 and "is working here; wait for it" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "report", "samples"]


@pytest.mark.parametrize("name", ["card.json", "report/leaks.json", "report/regions.json", "brain.safetensors"])
def test_a_link_planted_in_a_run_shows_nothing_in_the_report(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"token": "hunter2"}')
    folder = run(tmp_path / "run")
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(secret)
    with pytest.raises(InputError, match=f"{name}: expected a file or folder of this place itself, found a link"):
        judged(folder)
    assert not (folder / "report/report.html").exists() and secret.read_text() == '{"token": "hunter2"}'


def test_a_report_is_not_written_through_a_link(tmp_path: Path) -> None:
    folder, elsewhere = run(tmp_path / "run"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "report").symlink_to(elsewhere)
    with pytest.raises(InputError, match="report: expected a file or folder of this place itself, found a link"):
        judged(folder)
    assert not list(elsewhere.iterdir())


def test_pictures_of_somebody_else_may_be_links_and_their_card_may_not(tmp_path: Path) -> None:
    """As DataLad lays them: every picture is a link into its store."""
    store, shown = tmp_path / "store", tmp_path / "theirs/references"
    shown.mkdir(parents=True)
    store.mkdir()
    for i in range(4):
        for name, home in ((f"s{i}.png", shown), (f"s{i}-0.png", shown.parent)):
            Image.fromarray(picture(i)).save(store / name)
            (home / name).symlink_to(store / name)
    assert len(judged(tmp_path / "theirs").samples.samples) == 4
    (tmp_path / "theirs/card.json").symlink_to(store / "s0.png")
    with pytest.raises(InputError, match="card.json: expected .* found a link"):
        judged(tmp_path / "theirs")
