"""The table of stacks: found or absent, whole or damaged, and never anything but safetensors and JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from brain.errors import CheckpointAbsent, InputError, UsageError
from pipelines.generators import CATALOGUE
from pipelines.images.tiny import tiny_stack
from pipelines.stacks import download, find, folder, load, parts, table


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_stack(tmp_path_factory.mktemp("stacks") / "whole", safety_checker=True)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack of one's own to damage, and no other stack anywhere."""
    monkeypatch.delenv(find.SHELF, raising=False)
    return tiny_stack(tmp_path / "mine")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    import huggingface_hub.constants

    monkeypatch.delenv(find.SHELF, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cache(hub: Path, row: table.StackRow, stack: Path, *, commit: str) -> Path:
    """Lay a stack out as the Hugging Face cache does."""
    folder = hub / f"models--{row.hub.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots").mkdir()
    stack.rename(folder / "snapshots" / commit)
    return folder / "snapshots" / commit


def test_rows_are_complete_and_say_what_they_are() -> None:
    assert len(set(find.names())) == len(table.ROWS)
    for row in table.ROWS:
        assert row.licence and row.gigabytes > 0 and row.pinned_by and set(row.generators) <= set(CATALOGUE.names())
        assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= set(row.components)
        assert re.fullmatch(r"[0-9a-f]{40}|main", row.revision) if row.hub else row.revision == ""
        if "unclip" in row.generators:
            assert {"image_encoder", "image_normalizer", "image_noising_scheduler"} <= set(row.components)


def test_an_absent_stack_names_the_command_that_fetches_it(hub: Path) -> None:
    for row in table.ROWS:
        if row.hub:
            with pytest.raises(CheckpointAbsent) as caught:
                find.resolve(row.name)
            said = str(caught.value)
            assert caught.value.exit_code == 5
            for fact in (row.hub, row.revision, row.licence, str(row.gigabytes), f"afterimage stacks fetch {row.name}"):
                assert fact in said


def test_fetching_offline_is_one_sentence(hub: Path) -> None:
    said: list[str] = []
    with pytest.raises(CheckpointAbsent, match="could not be fetched"):
        download.fetch("sd15", say=said.append)
    assert "GB" in said[0] and "OpenRAIL" in said[0]


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="sd15"):
        find.resolve("sd115")


def test_found_in_the_cache_by_name_and_by_hub_id(hub: Path, stack: Path) -> None:
    row = find.row_named("stable-unclip")
    path = cache(hub, row, stack, commit="a" * 40)
    for name in (row.name, row.hub):
        found = find.resolve(name)
        assert (found.path, found.row, found.model, found.revision) == (path, row, row.hub, "a" * 40)
    with pytest.raises(CheckpointAbsent):
        find.resolve(row.name, revision="b" * 40)


def test_half_a_download_is_absent(hub: Path, stack: Path) -> None:
    row = find.row_named("stable-unclip")
    path = cache(hub, row, stack, commit="a" * 40)
    (path / "unet").rename(path / "elsewhere")
    with pytest.raises(CheckpointAbsent, match="afterimage stacks fetch"):
        find.resolve(row.name)


def test_found_on_the_shelf(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(find.SHELF, str(stack.parent))
    stack.rename(stack.parent / "sd15")
    found = find.resolve("sd15")
    assert found.path == stack.parent / "sd15" and found.model == find.row_named("sd15").hub
    assert found.revision == ""  # nobody knows which commit: the files' digests stand in


def test_any_folder_is_a_stack(stack: Path) -> None:
    found = find.resolve(str(stack))
    assert found.row is None and found.model == "mine" and len(found.sha256) == 64


def test_check_loads_everything(whole: Path) -> None:
    report = load.check(str(whole))
    assert report.components["unet"] == "UNet2DConditionModel" and report.components["tiny_vae"] == "AutoencoderTiny"
    assert report.components["safety_checker"] == "StableDiffusionSafetyChecker"
    assert report.weights > 100_000 and "unet/diffusion_pytorch_model.safetensors" in report.files
    assert all(len(digest) == 64 for digest in report.files.values())


def test_the_digest_follows_the_weights(stack: Path) -> None:
    before = find.resolve(str(stack)).sha256
    assert find.resolve(str(stack)).sha256 == before
    file = stack / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    assert find.resolve(str(stack)).sha256 != before


@pytest.mark.parametrize("damage", ["truncated", "longer", "header", "empty", "absent component", "absent weights"])
def test_damage_is_found_without_loading(stack: Path, damage: str) -> None:
    file = stack / "unet" / "diffusion_pytorch_model.safetensors"
    content = file.read_bytes()
    if damage == "absent component":
        (stack / "unet").rename(stack / "elsewhere")
    elif damage == "absent weights":
        file.unlink()
    else:
        file.write_bytes(
            {
                "truncated": content[:-100],
                "longer": content + b"0",
                "header": content[:8] + b"x" * (len(content) - 8),
                "empty": b"",
            }[damage]
        )
    with pytest.raises(InputError, match="unet"):
        find.resolve(str(stack))


def test_pickled_weights_are_refused_by_name(stack: Path) -> None:
    file = stack / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(InputError, match=r"diffusion_pytorch_model\.bin"):
        find.resolve(str(stack))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("lfs", "a git-lfs pointer .*; run `git lfs pull`"),
        ("annex", "a git-annex pointer .*; run `datalad get` on it"),
        ("page", "a web page"),
        ("dead link", "a link to a file that has not been fetched; run `datalad get` on it"),
        ("pipe", "a pipe, a device or a socket"),
        ("cut", r"expected .* bytes, found a file cut short, \d+ bytes; fetch or copy the stack again"),
        ("nan", "finite numbers all, found NaN or infinity in 'decoder.conv_in.bias'"),
        ("pickle", r"expected weights as .safetensors, found diffusion_pytorch_model.bin; fetch a revision with .saf"),
        ("config", "a link to a file that has not been fetched"),
    ],
)
def test_a_broken_download_is_said_with_its_next_step(stack: Path, damage: str, said: str) -> None:
    file, config = stack / "vae" / "diffusion_pytorch_model.safetensors", stack / "vae" / "config.json"
    content = file.read_bytes()
    (config if damage == "config" else file).unlink()
    if damage in ("lfs", "annex", "page", "cut"):
        text = {
            "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5000000\n",
            "annex": b"/annex/objects/MD5E-s5000000--0123.safetensors\n",
            "page": b"<!DOCTYPE html><html><body>404</body></html>" * 20,
            "cut": content[: len(content) // 2],
        }
        file.write_bytes(text[damage])
    elif damage == "pipe":
        os.mkfifo(file)
    elif damage == "nan":
        file.write_bytes(content)
        weights = load_file(file)
        save_file(weights | {"decoder.conv_in.bias": weights["decoder.conv_in.bias"] * torch.nan}, file)
    elif damage == "pickle":
        torch.save({}, file.with_suffix(".bin"))
    else:
        (config if damage == "config" else file).symlink_to(stack / "nowhere")
    with pytest.raises(InputError, match=said) as caught:
        find.resolve(str(stack))
    assert "vae" in str(caught.value) and "\n" not in str(caught.value)


def test_weights_of_half_precision_load(stack: Path) -> None:
    file = stack / "vae" / "diffusion_pytorch_model.safetensors"
    half = {name: one.half() for name, one in load_file(file).items()}
    save_file(half, file, metadata={"format": "pt"})
    vae = load.load_component(find.resolve(str(stack)), "vae").state_dict()
    assert vae.keys() == half.keys() and all(torch.equal(vae[name].float(), half[name].float()) for name in half)


def test_a_list_reads_no_numbers_and_a_use_does(stack: Path) -> None:
    file = stack / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    name = sorted(weights)[0]
    save_file(weights | {name: torch.full_like(weights[name], torch.inf)}, file)
    assert find.resolve(str(stack), numbers=False).path == stack
    with pytest.raises(InputError, match=re.escape(name)):
        find.resolve(str(stack))


def test_what_a_mac_leaves_beside_every_file_is_no_part_of_a_stack(stack: Path) -> None:
    before = find.resolve(str(stack)).sha256
    for part in ("unet", "scheduler"):
        for file in list((stack / part).iterdir()):
            file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07" + b"\0" * 50)
    assert find.resolve(str(stack)).sha256 == before


def test_weights_in_several_files_are_all_there(stack: Path) -> None:
    part = stack / "unet"
    file = part / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    names = sorted(weights)
    places = {name: f"unet-{1 + (name > names[len(names) // 2])}.safetensors" for name in names}
    for place in set(places.values()):
        save_file({name: weights[name] for name in names if places[name] == place}, part / place)
    file.unlink()
    index = part / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert find.resolve(str(stack))
    (part / "unet-2.safetensors").unlink()
    with pytest.raises(InputError, match=r"unet-2\.safetensors: expected a part of the weights, found no such file"):
        find.resolve(str(stack))
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "../../elsewhere.safetensors")}))
    with pytest.raises(InputError, match="files beside it"):
        find.resolve(str(stack))


@pytest.mark.parametrize(
    "kind", ["AutoModel", "AutoModelForCausalLM", "TFAutoModel", "AutoPipelineForText2Image", "DiffusionPipeline",
             "pipeline", "__class__", "", 5, None, ["AutoModel"]],
)  # fmt: skip
def test_an_index_names_concrete_classes(stack: Path, kind: object) -> None:
    index = stack / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"text_encoder": ["transformers", kind]}))
    with pytest.raises(InputError, match="expected a concrete class, found"):
        find.resolve(str(stack))


@pytest.mark.parametrize(
    "place", ["model_index.json", "unet/config.json", "tokenizer/tokenizer_config.json",
              "scheduler/scheduler_config.json", "text_encoder/generation_config.json"],
)  # fmt: skip
def test_a_stack_that_names_code_of_its_own_is_refused(stack: Path, place: str) -> None:
    file = stack / place
    facts = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(facts | {"deep": [{"auto_map": {"AutoModel": "mine.Mine"}}]}))
    with pytest.raises(InputError, match="found auto_map; take a checkpoint whose classes are in transformers"):
        find.resolve(str(stack))


def test_nobody_on_the_terminal_can_let_foreign_code_run(stack: Path) -> None:
    """A stack, a judge of sounds, one of pictures and a space that would each run a module of their folder on "y"."""
    ran = stack / "ran"
    folder = stack / "text_encoder"
    code = f"open({str(ran)!r}, 'w').close()\n"
    for place in (stack, folder):
        (place / "mine.py").write_text(code)
    names = ("AutoConfig", "AutoModel", "AutoFeatureExtractor", "AutoImageProcessor", "AutoModelForImageClassification",
             "AutoModelForAudioClassification")  # fmt: skip
    mine = json.dumps({"model_type": "mine", "auto_map": dict.fromkeys(names, "mine.Mine")})
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).write_text(mine)
    index = stack / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"text_encoder": ["transformers", "AutoModel"]}))
    program = f"""
from pathlib import Path
from brain.errors import InputError
from encoders.spaces._pretrained import component
from evaluation.judges.classifier import open_classifier
from evaluation.judges.hearing import AudioClassifierJudge, ClapJudge
from pipelines.stacks import load
stack = Path({str(stack)!r}); folder = stack / "text_encoder"
for act in (
    lambda: load.check(str(stack)),
    lambda: AudioClassifierJudge(name="mine", folder=folder).open(),
    lambda: ClapJudge(name="mine", folder=folder).open(),
    lambda: open_classifier(folder),
    lambda: component(stack, "text_encoder", model="mine"),
):
    try:
        act()
    except InputError as said:
        print("refused:", said)
"""
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, input="y\n" * 20, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["refused"] * 5, done.stdout
    assert not ran.exists() and "Do you wish to run" not in done.stdout + done.stderr


@pytest.mark.parametrize("index", [b"\xff\xfe\x00", b"[" * 100_000, b'{"unet": NaN', b"[]"])
@pytest.mark.parametrize("place", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"])
def test_json_that_is_none_is_one_sentence(stack: Path, index: bytes, place: str) -> None:
    (stack / place).write_bytes(index)
    with pytest.raises(InputError, match=place) as said:
        find.resolve(str(stack))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("levels", ["many", None, [3], float("inf"), True])
def test_a_schedule_without_a_number_of_levels_is_said(stack: Path, levels: object) -> None:
    file = stack / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_train_timesteps": levels}))
    with pytest.raises(InputError, match="expected a scheduler's configuration"):
        _ = find.resolve(str(stack)).noise_levels


@pytest.mark.parametrize(
    "index", ["", "[]", "{", '{"unet": ["os", "system"]}', '{"../unet": ["diffusers", "UNet2DConditionModel"]}']
)
def test_a_foreign_index_runs_nothing(stack: Path, index: str) -> None:
    (stack / "model_index.json").write_text(index)
    with pytest.raises(InputError, match="model_index"):
        find.resolve(str(stack))


def test_a_class_nobody_has_and_weights_that_do_not_fit(stack: Path) -> None:
    file = stack / "model_index.json"
    index = json.loads(file.read_text())
    file.write_text(json.dumps(index | {"unet": ["diffusers", "NoSuchModel"]}))
    with pytest.raises(InputError, match="NoSuchModel"):
        load.check(str(stack))
    file.write_text(json.dumps(index))
    config = stack / "unet" / "config.json"
    config.write_text(config.read_text().replace('"cross_attention_dim": 32', '"cross_attention_dim": 48'))
    with pytest.raises(InputError, match="unet"):
        load.check(str(stack))


def test_code_in_a_repository_is_switched_off_and_the_table_costs_nothing() -> None:
    """Naming stacks and generators imports no torch; remote code is off before diffusers can be imported."""
    program = (
        "import sys, os; import pipelines.stacks; from pipelines.generators import CATALOGUE; CATALOGUE.names();"
        "heavy = {'torch', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules);"
        "assert not heavy, heavy; assert os.environ['DIFFUSERS_DISABLE_REMOTE_CODE'] == '1'"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_parts_are_complete_and_serve_stacks_of_the_table(hub: Path) -> None:
    assert len({*parts.names(), *find.names()}) == len(parts.ROWS) + len(table.ROWS)
    assert set(parts.SERVES) <= set(find.names())
    assert {name for some in parts.SERVES.values() for name in some.values()} == set(parts.names())
    for row in parts.ROWS:
        with pytest.raises(CheckpointAbsent, match=f"part {row.name} .* afterimage stacks fetch {row.name}") as caught:
            parts.locate(row.name)
        assert all(fact in str(caught.value) for fact in (row.hub, row.revision, row.licence, str(row.gigabytes)))
        with pytest.raises(CheckpointAbsent, match="could not be fetched"):
            parts.fetch(row.name, say=lambda line: None)
    with pytest.raises(UsageError, match="taesd"):
        parts.row_named("taesdd")


def test_a_part_stands_in_where_the_stack_has_none(hub: Path, stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack's own small decoder first, else the part on the shelf, else none; half a part is said."""
    shelf = stack.parent / "shelf"
    monkeypatch.setenv(find.SHELF, str(shelf))
    shelf.mkdir()
    stack.rename(shelf / "sd15")
    found = find.resolve("sd15")
    assert parts.part_of(found, "tiny_vae") == found.path / "tiny_vae"
    (found.path / "tiny_vae").rename(shelf / "taesd")
    assert parts.part_of(found, "tiny_vae") == shelf / "taesd"
    assert parts.part_of(folder.StackFolder(path=found.path, row=None), "tiny_vae") is None
    (shelf / "taesd" / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json of taesd"):
        parts.part_of(found, "tiny_vae")
    (shelf / "taesd").rename(shelf / "elsewhere")
    assert parts.part_of(found, "tiny_vae") is None


def test_a_part_is_looked_through_like_a_stack(hub: Path, stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(find.SHELF, str(stack.parent))
    (stack / "tiny_vae").rename(stack.parent / "taesd")
    file = stack.parent / "taesd" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file({name: one * torch.nan for name, one in weights.items()}, file)
    with pytest.raises(InputError, match="NaN or infinity in"):
        parts.locate("taesd")


def test_a_part_is_found_in_the_cache(hub: Path, stack: Path) -> None:
    row = parts.row_named("taesd")
    folder = hub / f"models--{row.hub.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("c" * 40)
    (folder / "snapshots").mkdir()
    (stack / "tiny_vae").rename(folder / "snapshots" / ("c" * 40))
    assert parts.locate("taesd") == parts.locate(row.hub) == folder / "snapshots" / ("c" * 40)
