"""The same numbers give the same bits: in any memory, alone and in company, for every entry that has a network.

Compared are floats, before any rounding to pixels or PCM. The tests run over the catalogues without being edited; the
last ones take the mend away and must then see a difference, on every kind of processor.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import brain.machine.memory
import pipelines.sampling.micro_batches
from brain.data.averages import Averaged
from brain.errors import CheckpointAbsent, InputError, UsageError
from brain.machine.memory import contiguous, fresh
from brain.types import Recording, Responses, Stimuli
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.micro_batches import in_micro_batches
from encoders.spaces import CATALOGUE as SPACES
from encoders.towers import CATALOGUE as TOWERS
from evaluation.judges import CATALOGUE as JUDGES
from evaluation.judges import Opinion
from evaluation.metrics import Views
from evaluation.score import Marks
from pipelines.generators import CATALOGUE as GENERATORS
from pipelines.sampling.guidance import Trace, braindive, through
from pipelines.sampling.micro_batches import WIDTH, MicroBatches, rows_depend_on_place
from pipelines.sampling.sampler import Hooks
from pipelines.settings import Batching
from pipelines.stacks.find import resolve
from pipelines.stacks.load import quiet
from tests.layouts import laid_out, tensors_of
from tests.sampling import sampling

pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
]

COUNT = 6
IDS = tuple(f"s{place}" for place in range(COUNT))
SEEDS = [11, 12, 13, 14, 15, 16]


def numbers(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()


# the mechanism


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 5), (2, 1, 4, 4), (1, 8, 1, 1)])
def test_fresh_memory_is_the_same_whatever_came(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = numbers(*shape)
    made = torch.empty(shape)
    for name, one in tensors_of(values, tmp_path).items():
        copy = fresh(one)
        assert torch.equal(copy, torch.from_numpy(values)), name
        assert copy.stride() == made.stride() and copy.storage_offset() == 0 and copy.data_ptr() % 64 == 0, name
        assert copy.data_ptr() != one.data_ptr()


def test_fresh_memory_is_filled_up_and_lets_gradients_pass() -> None:
    values = torch.arange(6.0).reshape(2, 3).requires_grad_(True)
    filled = fresh(values, rows=4)
    assert filled.tolist() == [[0, 1, 2], [3, 4, 5], [3, 4, 5], [3, 4, 5]]
    (filled * torch.tensor([[1.0], [2.0], [3.0], [4.0]])).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [[1, 1, 1], [9, 9, 9]]


def test_arrays_come_into_one_order_and_to_one_place(tmp_path: Path) -> None:
    values = numbers(5, 7)
    assert contiguous(values) is values
    for name, one in laid_out(values, tmp_path).items():
        assert contiguous(one).flags.c_contiguous and np.array_equal(contiguous(one), values), name
    odd = np.frombuffer(bytearray(values.nbytes + 1), np.uint8)[1:].view(np.float32).reshape(values.shape)
    assert not odd.flags.aligned and contiguous(odd).flags.aligned
    assert contiguous(values, np.float64).dtype == np.float64
    other = values.astype(values.dtype.newbyteorder())
    assert contiguous(other).dtype.isnative and np.array_equal(contiguous(other), values)


@pytest.mark.parametrize("deep", [1, 2])
def test_a_row_of_a_micro_batch_is_its_own_on_any_number_of_threads(deep: int) -> None:
    """A width of 37, so that a batch ends in numbers that fill no register, and threads cut it where they like."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(24, 37), torch.nn.SiLU(), torch.nn.Linear(37, 1), torch.nn.Sigmoid()]
    network = torch.nn.Sequential(*layers[: 2 * deep])
    values, before = torch.from_numpy(numbers(33, 24)), torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            with torch.no_grad():
                together = in_micro_batches(network, values, device="cpu")
                assert torch.equal(together, torch.cat([network(fresh(one[None])) for one in values]))
                assert torch.equal(together, in_micro_batches(network, values.flip(0), device="cpu").flip(0))
    finally:
        torch.set_num_threads(before)


def test_products_are_asked_to_be_strict_and_bundled_stacks_draw_eight_at_a_time(checkout: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    code = "import os, brain; print(os.environ['MKL_CBWR'])"
    run = {"cwd": checkout, "env": plain, "capture_output": True, "text": True, "check": True}
    done = subprocess.run([sys.executable, "-c", code], **run)
    assert done.stdout.strip() == "AUTO,STRICT"
    for name, stack in (("takagi", "miniature-image"), ("sound-c2f", "miniature-sound")):
        generator = GENERATORS[name].open(resolve(stack), device="cpu", dtype="float32")
        assert generator.batches(Batching()).width == (1 if rows_depend_on_place() else WIDTH)


def test_a_network_whose_lanes_would_end_in_odd_numbers_draws_one_by_one() -> None:
    even = MicroBatches.fitting(torch.nn.Linear(37, 40), "cpu").width
    assert even in (1, WIDTH)  # 1 where products themselves tell places apart
    beside = [torch.nn.Linear(40, 37), None, "a scheduler"]
    assert MicroBatches.fitting(torch.nn.Linear(37, 40), "cpu", beside=beside[1:]).width == even
    assert MicroBatches.fitting(torch.nn.Linear(37, 40), "cpu", beside=beside).width == 1
    assert MicroBatches.fitting(torch.nn.Linear(40, 37), "cpu").width == 1
    assert MicroBatches.fitting(torch.nn.Linear(40, 37), "cuda").width == 32


def test_lanes_hand_on_fresh_memory_whatever_a_network_leaves() -> None:
    picture = torch.from_numpy(numbers(3, 4, 8, 8))
    for batches in (
        MicroBatches(width=2, threads=1),
        MicroBatches(width=1, threads=0),
        MicroBatches(width=3, threads=0),
    ):
        made = batches.run(lambda x: (2 * x).to(memory_format=torch.channels_last), picture)
        assert made.is_contiguous() and torch.equal(made, 2 * picture)
    with pytest.raises(InputError, match="expected one row or more"):
        MicroBatches(width=2, threads=1).run(lambda x: x, picture[:0])


def test_a_gradient_that_guides_has_the_same_bits_on_any_number_of_threads() -> None:
    """Through a network, as BrainDiVE takes it: the way back runs on the lanes' threads as well."""
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(4, 64, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(64, 4, 3, padding=1)
    net = torch.nn.Sequential(*layers).requires_grad_(False)
    batches, x = MicroBatches(width=2, threads=1), torch.from_numpy(numbers(5, 4, 32, 32))

    def predict(noisy: torch.Tensor) -> torch.Tensor:
        return batches.run(net, noisy)

    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            moment = SimpleNamespace(x=x, alpha_bar=0.5, predict=predict)
            for guide in (through, braindive):
                hook = guide(lambda z: z.square().mean((1, 2, 3)), scale=1.0, batches=batches, trace=Trace())
                found.append(hook(predict(x), moment))  # type: ignore[arg-type]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, found[place % 2]) for place, one in enumerate(found))


# generators: what they draw, by the floats that leave their last network


@pytest.fixture(scope="module", params=GENERATORS.names())
def drawing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    """An opened tiny generator and random conditions of its spaces, as arrays."""
    entry = GENERATORS[request.param]
    folder = resolve(str(entry.tiny(tmp_path_factory.mktemp("stack"))))
    generator = entry.open(folder, device="cpu", dtype="float32")
    cards = {**generator.cards, **generator.optional}
    return generator, {
        space: numbers(COUNT, *card.shape, seed=place) for place, (space, card) in enumerate(sorted(cards.items()))
    }


def lanes_of(generator: Any) -> MicroBatches:
    """The generator's own lanes, one after the other, so that what they give comes in order."""
    return replace(generator.batches(Batching()), workers=1)


def drawn(generator: Any, values: Mapping[str, torch.Tensor], rows: Sequence[int], **more: Any) -> NDArray[np.float32]:
    """(sample, ...) floats of these rows, one lane after the other."""
    settings = sampling(GENERATORS[generator.name].settings, steps=2, strength=0.5, **more)["settings"]
    if generator.modality == "sound":
        asked = [SEEDS[row] for row in rows]
        found = generator.draw(generator.pipeline, values, asked, settings, lanes_of(generator), Hooks())
        return np.concatenate([found.mels.reshape(len(rows), -1), found.waves], 1)
    seen: list[torch.Tensor] = []
    handle = generator.pipeline.vae.decoder.register_forward_hook(lambda _, given, out: seen.append(out.clone()))
    try:
        generator.draw(generator.pipeline, values, [SEEDS[row] for row in rows], settings, lanes_of(generator), Hooks())
    finally:
        handle.remove()
    # without what filled the last lane up; a lane that fitted latents to the UNet decoded more, and comes first
    width = lanes_of(generator).width
    return np.asarray(torch.cat(seen)[-width * -(-len(rows) // width) :][: len(rows)].numpy())


def test_a_drawing_has_the_same_floats_in_any_memory(drawing: Any, tmp_path: Path) -> None:
    generator, told = drawing
    plain = drawn(generator, {space: torch.from_numpy(one) for space, one in told.items()}, range(COUNT))
    assert np.isfinite(plain).all() and np.ptp(plain) > 0
    layouts = {space: tensors_of(one, tmp_path) for space, one in told.items()}
    for name in sorted({name for one in layouts.values() for name in one}):
        values = {space: one.get(name, torch.from_numpy(told[space])) for space, one in layouts.items()}
        assert np.array_equal(drawn(generator, values, range(COUNT)), plain), name


def test_a_drawing_has_the_same_floats_alone_and_reordered(drawing: Any) -> None:
    generator, told = drawing
    whole = {space: torch.from_numpy(one) for space, one in told.items()}
    together = drawn(generator, whole, range(COUNT))
    for rows in ([4], [5, 0], [3, 2, 1]):
        some = {space: torch.from_numpy(one[rows]) for space, one in told.items()}
        assert np.array_equal(drawn(generator, some, rows), together[rows]), rows


BUNDLED = [("takagi", "miniature-image"), ("unclip", "miniature-image"), ("sound-direct", "miniature-sound")]


@pytest.mark.parametrize(("name", "stack"), BUNDLED)
def test_a_bundled_stack_draws_the_same_floats_alone_and_reordered(name: str, stack: str) -> None:
    generator = GENERATORS[name].open(resolve(stack), device="cpu", dtype="float32")
    told = {space: torch.from_numpy(numbers(COUNT, *card.shape)) for space, card in generator.cards.items()}
    together = drawn(generator, told, range(COUNT))
    for rows in ([4], [3, 2, 1, 5]):
        some = {space: one[rows] for space, one in told.items()}
        assert np.array_equal(drawn(generator, some, rows), together[rows]), rows


def test_gradients_that_may_be_kept_move_no_bit(drawing: Any) -> None:
    generator, told = drawing
    values = {space: torch.from_numpy(one[:2]) for space, one in told.items()}
    plain = drawn(generator, values, range(2))
    with torch.inference_mode():
        assert np.array_equal(drawn(generator, values, range(2)), plain)
    with torch.enable_grad():
        assert np.array_equal(drawn(generator, values, range(2)), plain)


# the bundled autoencoders, which are trained: alone and in company, in any memory


@pytest.fixture(scope="module", params=["miniature-image", "miniature-sound"])
def decoder(request: pytest.FixtureRequest) -> tuple[Callable[..., torch.Tensor], NDArray[np.float32], MicroBatches]:
    """(latents, lanes) -> what the decoder gives; latents as the encoder's scale has them; the stack's lanes.

    Sounds are half as long as the stack's own, which `BUNDLED` are drawn at.
    """
    image = request.param == "miniature-image"
    name = "takagi" if image else "sound-direct"
    generator = GENERATORS[name].open(resolve(request.param), device="cpu", dtype="float32")
    pipeline, batches = generator.pipeline, lanes_of(generator)
    if image:
        return (
            lambda z, batches: pipeline.decode_latents(z, batches=batches),
            numbers(COUNT, *pipeline.latent_shape),
            batches,
        )

    def sound(z: torch.Tensor, batches: MicroBatches) -> torch.Tensor:
        found = pipeline.decode_latents(z, batches=batches)
        return torch.cat([torch.from_numpy(found.mels).flatten(1), torch.from_numpy(found.waves)], 1)

    return sound, numbers(COUNT, *pipeline.latent_shape(pipeline.seconds / 2)), batches


def test_a_bundled_decoder_has_the_same_floats_in_any_memory(decoder: Any, tmp_path: Path) -> None:
    decode, latents, batches = decoder
    plain = decode(torch.from_numpy(latents), batches)
    for name, z in tensors_of(latents, tmp_path).items():
        assert torch.equal(decode(z[[5, 0, 4]], batches), plain[[5, 0, 4]]), f"{name}, reordered"
        assert torch.equal(decode(z[4:5], batches), plain[4:5]), f"{name}, alone"


def test_threads_that_lanes_fix_move_no_bit(decoder: Any) -> None:
    decode, latents, batches = decoder
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append(decode(torch.from_numpy(latents), replace(batches, workers=threads)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


# spaces, towers and judges


def stimuli(modality: str, change: Callable[[NDArray[Any]], NDArray[Any]] = lambda one: one) -> Stimuli:
    def opener(stimulus: str) -> Any:
        rng = np.random.default_rng(IDS.index(stimulus))
        if modality == "image":
            return Image.fromarray(change(rng.integers(0, 256, (40, 50, 3), np.uint8)))
        return change((0.1 * rng.standard_normal(16000)).astype(np.float32)), 16000

    captions = {one: tuple(f"{one} {word}" for word in ("a dog", "two")[: row % 2 + 1]) for row, one in enumerate(IDS)}
    return Stimuli(ids=IDS, modality=modality, opener=opener, captions=captions)


def _installed(name: str) -> bool:
    import importlib.util

    return not SPACES[name].requires or importlib.util.find_spec(SPACES[name].requires) is not None


@pytest.mark.parametrize("name", SPACES.names())
def test_a_condition_has_the_same_bits_in_any_memory_and_company(name: str, tmp_path: Path) -> None:
    if not _installed(name):
        pytest.skip(f"{name} needs {SPACES[name].requires}, which is not installed")
    torch.manual_seed(0)
    entry = SPACES[name]
    space = entry.open(tmp_path, model=entry.tiny(tmp_path), revision="", device="cpu")
    plain = space.encode(stimuli(entry.modality), IDS, batch=4)
    for layout in ("odd offset", "transposed", "sliced", "memory-mapped"):
        given = stimuli(entry.modality, lambda one, layout=layout: laid_out(one, tmp_path)[layout])
        assert np.array_equal(space.encode(given, IDS, batch=4).values, plain.values), layout
    for ids, batch in ((IDS[4:5], 1), (IDS[::-1], 3), (IDS, 5)):
        some = space.encode(stimuli(entry.modality), ids, batch=batch)
        assert np.array_equal(some.values, plain.take(ids).values), (ids, batch)


@pytest.mark.parametrize("name", TOWERS.names())
def test_a_tower_s_features_have_the_same_bits_in_any_memory(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    try:
        tower = TOWERS[name].open(TOWERS[name].tiny(tmp_path), model="tiny", device="cpu")
    except (CheckpointAbsent, UsageError) as absent:
        pytest.skip(str(absent))
    for side in (tower.side, 50):
        pixels = np.random.default_rng(0).random((COUNT, 3, side, side)).astype(np.float32)
        plain = tower(torch.from_numpy(pixels)).detach()
        for layout, given in tensors_of(pixels, tmp_path).items():
            assert torch.equal(tower(given).detach(), plain), layout
        slope = _slope(tower, torch.from_numpy(pixels))
        for layout, given in tensors_of(pixels, tmp_path).items():
            assert torch.equal(_slope(tower, given), slope), f"gradient, {layout}"


def _slope(tower: Any, pixels: torch.Tensor) -> torch.Tensor:
    leaf = pixels.detach().requires_grad_(True)
    tower(leaf).square().mean(0).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("name", JUDGES.names())
def test_a_judge_s_opinion_has_the_same_bits_in_any_memory_and_company(name: str, tmp_path: Path) -> None:
    try:
        bench = JUDGES[name].open()
    except CheckpointAbsent as absent:
        pytest.skip(f"{name} is not at hand: {str(absent)[:60]}")
    modality = JUDGES[name].modality

    def shown(ids: Sequence[str], layout: str = "") -> Iterator[Any]:
        change = (lambda one: laid_out(one, tmp_path)[layout]) if layout else (lambda one: one)
        for one in ids:
            opened = stimuli(modality, change).open(one)
            yield opened if modality == "image" else opened[0]

    plain = bench.look(shown(IDS))
    for layout in ("odd offset", "transposed", "sliced", "memory-mapped"):
        assert same_opinion(bench.look(shown(IDS, layout)), plain, range(COUNT)), layout
    assert same_opinion(bench.look(shown(IDS[4:5])), plain, [4])
    assert same_opinion(bench.look(shown(IDS[::-1])), plain, range(COUNT)[::-1])


def same_opinion(one: Any, other: Any, rows: Sequence[int]) -> bool:
    mine = list(rows)
    return np.array_equal(one.features, other.features[mine]) and all(
        np.array_equal(one.scores[group], scores[mine]) for group, scores in other.scores.items()
    )


# maps from voxels


def voxels_of(count: int) -> VoxelSpace:
    ijk = np.stack([np.arange(count) % 7, np.arange(count) // 7, np.zeros(count, int)], 1)
    return VoxelSpace(subject="s", name="v", betas="b", unit="z", shape=(7, 99, 1), affine=np.eye(4), ijk=ijk)


def ridge() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    from encoders.ridge import predict_rows

    weights, x_mean, y_mean = numbers(61, 300, seed=1), numbers(61, seed=2), numbers(300, seed=3)
    return lambda x: predict_rows(x, weights, x_mean=x_mean.astype(np.float64), y_mean=y_mean.astype(np.float64))


def residual() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A residual map of random weights, pattern by pattern, as `NetworkMap` asks it."""
    from encoders.mappings._parts.diffusion_prior import PriorSettings
    from encoders.mappings._parts.residual_map import ResidualMap
    from encoders.mappings._parts.residual_network import Residual, ResidualSettings

    torch.manual_seed(0)
    settings = ResidualSettings(width=48, blocks=2, prior=PriorSettings(width=32, depth=1, train_steps=20, steps=4))
    card = SpaceCard(name="toy", model="m", revision="r", layer="l", normalisation="none", shape=(40,))
    mapped = ResidualMap(
        network=Residual({"s": 61}, 40, settings).eval().requires_grad_(False),
        centre=np.zeros(40, np.float32), spread=np.ones(40, np.float32), expected=np.zeros((41, 48), np.float32),
        rescaling={}, space=card, facts={},
    )  # fmt: skip
    return lambda x: np.concatenate(
        [np.concatenate([mapped.regress(one[None]), mapped.draw(one[None], seeds=[5])], 1) for one in x]
    )


def masked() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    from encoders.masked.model import MaskedBrain
    from encoders.masked.patches import cut_cortex
    from encoders.masked.readout import features
    from encoders.settings import MaskedSettings

    torch.manual_seed(0)
    net = MaskedBrain(MaskedSettings(patch=8, width=32, depth=2, heads=2, decoder_width=16)).eval()
    patches = cut_cortex(voxels_of(61), 8)
    return lambda x: features(net.requires_grad_(False), patches, x)


@pytest.mark.parametrize("make", [ridge, residual, masked])
def test_a_pattern_has_the_same_prediction_in_any_memory_and_company(make: Any, tmp_path: Path) -> None:
    """Of the residual map the memory alone: `NetworkMap` hands it one pattern at a time, and so does this."""
    predict, patterns = make(), numbers(COUNT, 61)
    plain = predict(patterns)
    for layout, given in laid_out(patterns, tmp_path).items():
        assert np.array_equal(predict(given), plain), layout
    assert np.array_equal(predict(patterns[4:5]), plain[4:5])
    assert np.array_equal(predict(patterns[::-1]), plain[::-1])


# arrays that are summed


def test_types_hold_arrays_in_one_order(tmp_path: Path) -> None:
    values = numbers(COUNT, 61)

    def responses(one: NDArray[np.float32]) -> Responses:
        return Responses(
            values=one, stimulus=np.array(IDS), session=np.array([1, 1, 1, 2, 2, 2]), repeat=np.zeros(COUNT, int),
            space=voxels_of(61),
        )  # fmt: skip

    card = SpaceCard(name="toy", model="m", revision="r", layer="l", normalisation="none", shape=(61,))
    for layout, one in laid_out(values, tmp_path).items():
        held = responses(one)
        assert held.values.flags.c_contiguous, layout
        assert held.voxels(np.arange(60, -1, -2)).values.flags.c_contiguous
        assert held.trials(np.array([3, 1])).values.flags.c_contiguous
        assert Conditions(space=card, values=one, ids=IDS).values.flags.c_contiguous, layout
        assert Averaged(values=one, ids=IDS, repeats=np.ones(COUNT, np.int64)).values.flags.c_contiguous, layout
        assert Marks(table=one).table.flags.c_contiguous, layout
        opinion = Opinion(features=one, scores={"kind": one})
        assert opinion.features.flags.c_contiguous and opinion.scores["kind"].flags.c_contiguous, layout
        pixels = np.zeros((COUNT, 0, 0, 3), np.uint8)
        views = Views(pixels=pixels, features={"judge": one}, patterns={"V1": one[:, ::3]})
        assert views.features["judge"].flags.c_contiguous and views.patterns["V1"].flags.c_contiguous, layout


def test_standardised_averages_and_a_ridge_have_the_same_bits_in_any_memory(planted: Path, tmp_path: Path) -> None:
    from brain.data.averages import average_repeats
    from brain.data.standardise import SessionScaler
    from brain.readers import open_recording
    from encoders.ridge import fit_ridge

    recording = open_recording(planted)

    def worked(values: NDArray[np.float32], given: Recording, change: Any = lambda one: one) -> list[NDArray[Any]]:
        mine = replace(given.responses, values=values)
        scaler = SessionScaler.fit(mine, np.ones(len(values), bool))
        averaged = average_repeats(scaler.apply(mine))
        truth = averaged.values[:, :11] @ numbers(11, 5)
        alphas = (1.0, 10.0, 100.0)
        fit = fit_ridge(
            change(averaged.values), change(truth), groups=averaged.ids, alphas=alphas, folds=3, seed=0, chunk=100
        )
        return [scaler.mean, scaler.std, averaged.values, fit.weights, fit.cv_prediction, fit.cv_r2]

    plain = worked(recording.responses.values, recording)
    for layout, values in laid_out(recording.responses.values, tmp_path).items():
        found = worked(values, recording, lambda one, layout=layout: laid_out(one, tmp_path)[layout])
        for one, other in zip(found, plain, strict=True):
            assert np.array_equal(one, other), layout


# without the mend


def before(values: torch.Tensor, *, rows: int = 0) -> torch.Tensor:
    """What lanes did before: a copy that keeps strides where the lane was full, and loses them where it was filled."""
    spare = max(0, rows - len(values))
    return torch.cat([values, values[-1:].expand(spare, *values.shape[1:])]) if spare else values.clone()


def test_without_fresh_memory_a_decoder_tells_layouts_apart(decoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, latents, batches = decoder
    z = torch.from_numpy(latents).to(memory_format=torch.channels_last)
    monkeypatch.setattr(pipelines.sampling.micro_batches, "fresh", before)
    four = replace(batches, width=4)
    full, plain = decode(z[:4], four), decode(torch.from_numpy(latents)[:4], four)
    assert not torch.equal(full, plain), "in another memory"
    assert not torch.equal(decode(z[:1], four), full[:1]), "alone and in company"


def test_without_one_order_sums_tell_layouts_apart() -> None:
    values = numbers(4001, 3)
    assert not np.array_equal(values.mean(0), np.asfortranarray(values).mean(0))
    assert brain.machine.memory.contiguous(np.asfortranarray(values)).mean(0).tolist() == values.mean(0).tolist()
