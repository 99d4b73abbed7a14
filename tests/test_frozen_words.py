"""Strings that feed a hash or a file: they keep their spelling, whatever the code around them is called.

Renaming a word of the code must not change a seed, a digest or a file that others read. Each expectation here is a
literal that was written by the code before the words moved.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.demo.guard import DOWNLOAD, TOKEN, UPLOAD
from app.demo.uploads.child import NAMES as UPLOADED
from brain.data.leaks import content_sha256
from brain.types import Split
from brain.voxels import VoxelSpace
from decode.run.migration import FIRST, RENAMED, as_stored
from decode.run.seeds import derangement, sample_seed
from decode.run.settings import METHODS, Settings
from encoders.mappings import CATALOGUE as MAPPINGS
from encoders.mappings._parts.network import draw_seed
from encoders.storage import DIGEST, KEY, SEALED
from encoders.training_state import Progress
from evaluation.report.synthesis import CONTROLS, FOLDER, PREFERRED, RESPONSES, SCORERS
from evaluation.samples.rows import LADDER, OF_SOUNDS, RowCard
from evaluation.samples.types import Sample
from evaluation.score import Score
from pipelines import synthesis
from pipelines.synthesis import SynthesisSettings

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
SECTIONS = {
    "machine": ["seed", "device", "batch"],
    "data": ["subject", "sessions", "betas", "reader", "fields", "standardise", "split"],
    "maps": ["stack", "maps", "mapping", "folds", "refits"],
    "sampling": [
        "method", "beside", "rows", "seeds", "control_seeds", "test_repeats", "dtype", "micro_batch",
    ],
    "evaluation": ["judge", "profile", "bootstrap", "permutations", "curves", "curve_stimuli", "export"],
}  # fmt: skip
SAMPLED = ["steps", "guidance", "eta", "scheduler"]
ENTRIES = {
    "prior": ["network_steps"],
    "residual": ["network_steps"],
    "ridge": ["alphas", "shared_penalty", "chunk", "trials"],
    "shared": ["alphas", "shared_penalty", "chunk", "network_steps"],
}
METHOD_FIELDS = {
    "bayes": [*SAMPLED, "strength", "bank", "experts", "drawn_from", "sharpness", "start_mix"],
    "bayes-image": [
        *SAMPLED, "image_scale", "strength", "noise_level", "bank", "experts", "drawn_from", "sharpness", "start_mix",
    ],
    "bayes-sound": [
        *SAMPLED, "seconds", "strength", "loa_weight", "anchor_weight", "candidates", "bank", "experts", "drawn_from",
        "sharpness",
    ],
    "mindvis": [*SAMPLED, "voxels", "paths", "start", "encoder", "masked_steps", "tune_steps"],
    "pixels": ["pixels"],
    "sound-anchored": [*SAMPLED, "seconds", "strength", "loa_weight", "anchor_weight", "candidates"],
    "sound-c2f": [*SAMPLED, "seconds", "loa_weight", "candidates"],
    "sound-clap": [*SAMPLED, "seconds", "candidates"],
    "sound-direct": [*SAMPLED, "seconds", "candidates"],
    "takagi": [*SAMPLED, "strength"],
    "unclip": [*SAMPLED, "image_scale", "strength", "noise_level"],
}
FORMAT_1 = {
    "machine": ("seed", "device", "batch"),
    "fit": (
        "subject", "sessions", "betas", "reader", "fields", "standardise", "split", "stack", "maps", "mapping",
        "network_steps", "voxels", "paths", "start", "encoder", "masked_steps", "tune_steps", "trials", "alphas",
        "shared_penalty", "folds", "refits", "chunk", "pixels",
    ),
    "decode": (
        "method", "rows", "beside", "seeds", "control_seeds", "steps", "guidance", "strength", "noise_level",
        "loa_weight", "anchor_weight", "candidates", "eta", "scheduler", "dtype", "lane", "test_repeats",
    ),
    "evaluate": ("judge", "bootstrap", "permutations", "profile", "curves", "curve_stimuli", "export"),
}  # fmt: skip
NAMES = {
    "pipelines.synthesis": {
        "best-of-n", "braindive", "embedding", "guided", "noise", "retrieval", "search", "unguided",
    },
    "pipelines.generators": {"sound-anchored", "sound-c2f", "sound-clap", "sound-direct", "takagi", "unclip"},
    "evaluation.judges": {
        "alexnet2", "alexnet2_224", "alexnet5", "alexnet5_224", "ast_audioset", "clap_htsat", "clip_vit_l14",
        "clip_vit_l14_224", "efficientnet_b1", "efficientnet_b1_224", "inception_v3", "inception_v3_224", "mels",
        "miniature", "miniature-sound", "pixels", "swav_resnet50", "swav_resnet50_224", "vit_h14",
    },
    "evaluation.profiles": {
        "clean", "clean-sound", "paper-brain-diffuser", "paper-mindeye2", "paper-mindvis", "paper-takagi",
    },
    "evaluation.metrics": {
        "category", "centroid_correlation", "dists", "dreamsim", "kind_2way_top1", "label_kind", "lpips", "mel_pcc",
        "pitch_accuracy", "pixcorr", "ssim", "ssim_columns", "top1", "top1_other_recons", "top1_pool50", "two_way",
        "two_way_other_recons", "two_way_strict", "two_way_within_category", "voicing", "imagenet_50way_top1",
        "distance_swav_resnet50", "two_way_alexnet2_224_strict", "two_way_clap_htsat",
    },
    "encoders.spaces": {
        "clap", "clip-image", "clip-text", "loa", "mel-latent", "openclip-image", "pixels", "vae-latent",
    },
    "encoders.towers": {"classifier", "clip-image", "openclip-image"},
    "encoders.mappings": set(ENTRIES),
    "decode.methods": set(METHOD_FIELDS),
    "decode.recipes": {
        "bayes-miniature", "bayes-sound-miniature", "c2f-audioldm2", "c2f-miniature", "mindvis-miniature",
        "mindvis-sd15", "pixels-ridge",
        "residual-miniature", "shared-miniature", "takagi-miniature", "takagi-sd15", "unclip-miniature",
    },
    "brain.readers": {"arrays", "bdata", "mindvis", "nsd", "series"},
    "brain.splits": {
        "cluster", "god", "leave-out", "nsd-shared1000", "nsd-shared982-37ses", "nsd-special515", "tenth-by-hash",
        "test-clips", "test-images", "test-windows",
    },
}  # fmt: skip
"""Catalogue -> names that are stored in settings, tables and folders; the catalogue may grow."""
STORED = {
    "MaskedSettings": "patch width depth heads mlp decoder_width decoder_depth ratio noise drop",
    "Plan": "steps rate warm decay clip accumulate validate patience save seed",
    "ResidualSettings": "width blocks drop_in drop contrast temperature prior",
    "FrozenSettings": "ridge limit average",
    "TuneSettings": "plan batch start limit",
    "SpaceCard": "name model revision layer normalisation shape",
    "MelRecipe": "rate n_fft hop win mels low high floor",
    "SetScore": "row metric value low high n references",
    "Point": "curve label measure value low high chance n",
    "ConditionScore": (
        "space two_way low high n chance p top1 top1_low top1_high top1_chance top1_p null refits after "
        "after_low after_high loss loss_low loss_high"
    ),
    "Retrieved": "space direction pool n value low high chance p null",
    "Sampling": "steps guidance eta scheduler",
    "SoundSampling": "seconds",
    "Stage": "name steps batch rate seed decay average clip warm",
    "PromptSizes": "patches tokens dim slot paths rank",
}
"""Class -> its own fields, which are stored under their names: on cards, in reports, in the identity of checkpoints."""


def test_seeds() -> None:
    assert sample_seed(0, "nsd00001", 0) == 4504415692939900433
    assert sample_seed(7, "x", 3) == 8602447729570889864
    assert derangement(["a", "b", "c", "d", "e"], 0) == {"a": "c", "b": "a", "c": "d", "d": "e", "e": "b"}


def test_the_seeds_of_networks_and_of_many_noises() -> None:
    own = [import_module(one.name) for one in walk_packages(synthesis.__path__, "pipelines.synthesis.")]
    search = next(one for one in own if hasattr(one, "many_seeds"))
    assert search.many_seeds(5, 3) == [5, 2326578170077499780, 3311190809561624063]
    assert draw_seed(3, "nsd00001") == 5351399899505591421


def test_the_digests_of_a_picture_and_a_sound() -> None:
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    assert content_sha256(picture) == "05a18076d5580cfad5e16bacebe25ca4c24c966487a559a50ff28b1026179f45"
    sound = (np.linspace(-1, 1, 32, dtype=np.float32), 16000)
    assert content_sha256(sound) == "4667e5ca195834bcc88f20c7b9031bb0acb0ad7782fba5b78796f491606e769b"


def space(**more: Any) -> VoxelSpace:
    ijk = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 1]])
    return VoxelSpace(subject="subj01", name="func1pt8mm", betas="b3", shape=(2, 2, 2), affine=np.eye(4), ijk=ijk,
                      unit="percent", **more)  # fmt: skip


def test_the_digests_of_a_voxel_space_and_a_split() -> None:
    assert space().sha256 == "1f7b6e0678670a4e37b348659ae836e34caacc3ce422fd9b528f904405ef2c1e"
    split = Split(name="s", train=("a", "b"), test=("c",))
    assert split.sha256 == "3c5b721256e92cbc7422dad821e2f7aa0f990e342d82bae50d400b92c7aaef27"
    trials = Split(name="s", train=("a", "b"), test=("c",), unit="trial")
    assert trials.sha256 == "decd57c75eabfc1249ffea9d33728bcceaef9b5d440d2a01177269e828081892"


def trees(*rooms: str) -> Iterator[ast.Module]:
    """The modules of these rooms, whatever they are called."""
    house = Path(__file__).parents[1]
    return (ast.parse(path.read_text(encoding="utf-8")) for room in rooms for path in (house / room).rglob("*.py"))


def strings_of(*rooms: str) -> set[str]:
    """Every text that stands alone in the modules of these rooms, whatever the modules are called."""
    nodes = (one for tree in trees(*rooms) for one in ast.walk(tree))
    return {one.value for one in nodes if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_the_kinds_of_files() -> None:
    assert (KEY, SEALED, DIGEST) == ("afterimage", "sealed", "tensors_sha256")
    kinds = {"conditions", "checkpoint", "voxel-contract", "masked-readout", "tuned-encoder", "region encoder",
             "mapping", "residual-map", "masked-brain"}  # fmt: skip
    families = {"linear", "network"}
    assert not (kinds | families) - strings_of("encoders")
    assert not {"double-conditioning", "miniature-stage"} - strings_of("pipelines")
    assert "responses to synthesized pictures" in strings_of("evaluation")


def test_the_addresses_of_the_demo() -> None:
    assert (UPLOAD, DOWNLOAD, TOKEN) == ("/afterimage/upload", "/afterimage/run.zip", "x-afterimage-token")
    assert UPLOADED == ("data.h5", "data.npz")


def test_the_families_of_maps() -> None:
    assert {name: MAPPINGS[name].family for name in ENTRIES} == {
        "prior": "network", "residual": "network", "ridge": "linear", "shared": "network",
    }  # fmt: skip


def test_the_names_of_components_and_targets() -> None:
    scorers = {"guide", "second", "truth"}
    assert not {"clip", "eye", "random-region", "retrieval", *scorers} - strings_of("decode")
    assert (FOLDER, RESPONSES, SCORERS) == ("synthesis", "responses.safetensors", ("truth", "second", "guide"))
    assert CONTROLS == ("unguided", "random_region")
    assert list(PREFERRED) == ["faces", "bodies", "places", "words", "food"]
    house = Path(__file__).parents[1] / "pipelines" / "miniature"
    components = {"eye", "image_encoder", "image_normalizer", "scheduler", "text_encoder", "tiny_vae", "unet", "vae"}
    assert not components - {path.name for path in (house / "image").iterdir()}


@pytest.mark.parametrize("catalogue", NAMES)
def test_names_in_catalogues(catalogue: str) -> None:
    assert not NAMES[catalogue] - set(import_module(catalogue).CATALOGUE.names())


def test_the_names_of_settings_in_format_2() -> None:
    stored = as_stored(Settings(recipe="r"), "d")
    assert list(stored) == ["format", "recipe", "data", "asked"]
    assert stored["format"] == 2
    assert list(stored["asked"]) == [*SECTIONS, "mappings", "methods"]
    for section, names in SECTIONS.items():
        assert list(stored["asked"][section]) == names


def test_the_names_of_settings_of_entries() -> None:
    for catalogue, expected in ((MAPPINGS, ENTRIES), (METHODS, METHOD_FIELDS)):
        for name, names in expected.items():
            assert [one.name for one in fields(catalogue[name].settings)] == names, name


def test_the_names_of_settings_in_format_1() -> None:
    assert FIRST == FORMAT_1
    assert RENAMED == {"lane": "micro_batch"}


def test_the_names_of_settings_of_synthesis() -> None:
    """synthesis.json holds them under "asked"."""
    assert [one.name for one in fields(SynthesisSettings)] == [
        "steps", "published_steps", "few_steps", "scale", "candidates", "iterations", "rate", "sharpness", "variety",
        "guidance", "conditioned", "strength", "scheduler",
    ]  # fmt: skip


def test_the_keys_of_an_index() -> None:
    sample = Sample(row="decoded", stimulus="a", index=0, seed=1, file="decoded/a-0.png", sha256="0", method="m",
                    withheld=False, captions=("c",), labels={"kind": "k"}, block="1", candidates=2)  # fmt: skip
    assert list(json.loads(sample.line())) == [
        "sample", "row", "stimulus", "index", "seed", "file", "sha256", "method", "withheld", "captions", "labels",
        "block", "candidates",
    ]  # fmt: skip


def test_the_names_and_keys_of_rows() -> None:
    assert [one.name for one in LADDER] == [
        "decoded", "shuffled", "mean", "prior", "repeat", "category_oracle", "retrieval", "exemplar", "oracle",
        "round_trip",
    ]  # fmt: skip
    assert [one.name for one in OF_SOUNDS] == ["retrieval"]
    assert list(RowCard(name="n", title="t").facts()) == ["title", "description", "order", "control"]
    assert RowCard(name="n", title="t", looked_up=True).facts()["looked_up"] is True
    assert [one.name for one in LADDER if one.looked_up] == ["retrieval", "exemplar"]


def test_the_keys_of_a_score() -> None:
    one = Score(row="decoded", metric="two_way", judge="clip", ids=("a",), values=np.ones(1), chance=0.5, null=0.5,
                ceiling=None, low=0.0, high=1.0, p=None, pool=1, samples=1, withheld=0, seed_sd=None)  # fmt: skip
    assert list(one.facts()) == [
        "row", "metric", "judge", "value", "low", "high", "chance", "n", "pool", "p", "q", "null", "ceiling",
        "ceiling_above_null", "effect", "lower_is_better", "samples", "withheld", "seed_sd",
    ]  # fmt: skip


KEYS = {
    "evaluation": {
        "simulated", "said", "stated", "noted", "card", "profile", "name", "does", "wrong", "rows", "dimensions",
        "curves", "design", "conditions", "sets", "leaks", "absent", "row_cards", "metric_cards",
        "judge", "other judges", "judge right about the references", "seed", "bootstrap", "permutations", "best of",
        "references", "references without a sample", "samples without a reference", "methods", "versions",
        "labels that the judge has words for", "evaluation", "run",
        "title", "description", "unit", "lower_is_better", "plotted", "headline",
        "row", "median", "low", "high", "percentile", "category", "diversity", "seconds", "flops", "n", "span",
        "signs", "ways", "regions", "wanted", "control", "counts", "strips", "shown", "values", "trajectories",
        "posteriors", "posterior", "method", "candidates", "stimuli", "stimuli not judged", "unexplained", "entropy",
        "entropy_over_prior", "calibration", "group", "accuracy", "confidence", "error", "by_chance", "bins", "right",
        "captions", "prior_entropy", "labels", "none", "looked_up", "stage", "cpu_seconds", "peak_mib", "judging",
        "silenced", "silenced_voxels",
    },
    "decode": {
        "reader", "subject", "modality", "trials", "stimuli", "repeats", "sessions", "voxels", "space", "betas", "unit",
        "shape", "sha256", "regions", "masked", "notes", "name", "train", "test", "recipe", "machine", "python",
        "system", "packages", "commit", "asked", "reference", "asks", "ways", "courses", "seconds", "flops", "seed",
        "signs", "encoders", "tower", "r2", "r2 over ceiling", "decoder in the loop", "silenced", "silenced_voxels",
        "control", "counts", "strips", "shown", "values", "steps", "trajectories",
    },
}  # fmt: skip
"""Room -> keys of card.json, report.json and synthesis.json that it writes."""


@pytest.mark.parametrize("room", KEYS)
def test_keys_of_cards_and_reports(room: str) -> None:
    assert not KEYS[room] - strings_of(room)


def test_the_parts_of_a_checkpoint() -> None:
    parts = {"identity", "progress", "model.", "average.", "optimiser.", "family", "plan", "data", "step", "validation"}
    assert not parts - strings_of("encoders")
    assert [one.name for one in fields(Progress)] == ["step", "samples", "best", "waited", "arithmetic"]


def test_the_names_of_the_weights_of_a_doubly_conditioned_stack() -> None:
    assert not {"prompter.", "unet.", "brain", "sizes"} - strings_of("pipelines")


def test_the_facts_of_micro_batches() -> None:
    assert not {"lane_width", "lane_threads", "memory_format"} - strings_of("pipelines")


@pytest.mark.parametrize("name", STORED)
def test_the_fields_that_are_stored(name: str) -> None:
    classes = [one for tree in trees(*ROOMS) for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name]
    fields_of = [[one.target for one in kind.body if isinstance(one, ast.AnnAssign)] for kind in classes]
    assert STORED[name] in [" ".join(one.id for one in own if isinstance(one, ast.Name)) for own in fields_of]
