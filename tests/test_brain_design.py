"""The design says how trials are standardised: a blocked one stops, a randomised one passes, however small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.cli import main
from brain.data.dependence import dependence
from brain.data.design import Choice, by_session, choose
from brain.data.standardise import SessionScaler
from brain.errors import UsageError
from brain.types import Recording, Responses, Split, Stimuli
from brain.voxels import VoxelSpace

VOXELS = 6
MIYAWAKI = Path(__file__).parents[2] / "shared/data/miyawaki/miyawaki_v1_figures.npz"


def recorded(
    stimulus: Sequence[int],
    session: Sequence[int],
    *,
    labels: Callable[[int], dict[str, str]] = lambda one: {},
    pictures: Callable[[int], np.ndarray] | None = None,
    values: np.ndarray | None = None,
    unit: str = "psc",
    sound: bool = False,
    names: Callable[[int], str] = "s{:03d}".format,
) -> Recording:
    """A recording of these trials; pictures are grey noise of the stimulus' own unless given."""
    shown = sorted(set(stimulus))
    ids = tuple(names(one) for one in shown)
    place = {names(one): one for one in shown}

    def own(one: int) -> np.ndarray:
        return np.random.default_rng([7, one]).integers(0, 256, (16, 16, 3), np.uint8)

    def opened(name: str) -> object:
        if sound:
            return np.random.default_rng([8, place[name]]).normal(size=1600).astype(np.float32), 16000
        return Image.fromarray((pictures or own)(place[name]))

    space = VoxelSpace(
        subject="one", name="native", betas="none", unit=unit, shape=(VOXELS, 1, 1), affine=np.eye(4),
        ijk=np.stack([np.arange(VOXELS), np.zeros(VOXELS), np.zeros(VOXELS)], 1).astype(int),
    )  # fmt: skip
    rng = np.random.default_rng(3)
    return Recording(
        responses=Responses(
            values=rng.normal(5, 2, (len(stimulus), VOXELS)) if values is None else values,
            stimulus=np.array([names(one) for one in stimulus]), session=np.array(session),
            repeat=np.zeros(len(stimulus), int), space=space,
        ),
        stimuli=Stimuli(
            ids=ids, modality="sound" if sound else "image", opener=opened,
            labels={name: labels(one) for name, one in place.items()},
        ),
        regions=(), splits=(Split(name="all", train=ids[1:], test=ids[:1]),), source="mine.npz",
    )  # fmt: skip


def chosen(recording: Recording, asked: str = "") -> Choice:
    return choose(recording, (), asked=asked)


def test_randomised_small_sessions_are_standardised_within_without_a_word() -> None:
    rng = np.random.default_rng(0)
    for size in (10, 20, 40):
        order = rng.permutation(200)
        found = chosen(recorded(order, np.arange(200) // size, labels=lambda one: {"category": "abcd"[one % 4]}))
        assert (found.standardise, found.announced) == ("session", False), size
        assert "does not depend on the session beyond chance" in found.why
        # without labels the pictures tell
        bare = chosen(recorded(order, np.arange(200) // size))
        assert (bare.standardise, bare.announced) == ("session", False), size
        assert bare.dependence is not None and "components of the pictures" in bare.dependence.of


def test_repeats_within_a_session_are_no_dependence() -> None:
    """As NSD shows them: three times each, often twice in one session."""
    rng = np.random.default_rng(1)
    home = rng.integers(0, 10, 200)
    trials = [(one, int(home[one])) for one in range(200) for _ in range(2)]
    trials += [(one, int(rng.integers(10))) for one in range(200)]
    stimulus, session = zip(*trials, strict=True)
    assert chosen(recorded(stimulus, session)).standardise == "session"
    assert chosen(recorded(stimulus, session, labels=lambda one: {"kind": str(one % 7)})).standardise == "session"


@pytest.mark.parametrize("sessions, each", [(2, 3), (2, 150), (4, 10)])
def test_a_session_of_one_class_stops(sessions: int, each: int) -> None:
    stimulus = np.arange(sessions * each)
    with pytest.raises(UsageError, match=r"mine.npz, session: .* blocked design: 100.0 % of the variance of category"):
        chosen(recorded(stimulus, stimulus // each, labels=lambda one: {"category": "abcd"[one // each], "x": "y"}))


def test_most_of_a_class_in_its_own_session_stops() -> None:
    stimulus = np.arange(100)
    category = np.where(np.arange(100) % 10 == 0, 1 - stimulus // 50, stimulus // 50)
    with pytest.raises(UsageError, match="blocked design") as said:
        chosen(recorded(stimulus, stimulus // 50, labels=lambda one: {"category": "ab"[category[one]]}))
    for standardise in ("all", "session", "none"):
        assert f"--standardise {standardise}" in str(said.value)


def test_classes_without_labels_are_told_by_the_pictures() -> None:
    def dark(one: int) -> np.ndarray:
        return (np.random.default_rng(one).integers(0, 128, (16, 16, 3)) + 100 * (one // 30)).astype(np.uint8)

    with pytest.raises(UsageError, match="first components of the pictures lies between sessions"):
        chosen(recorded(np.arange(60), np.arange(60) // 30, pictures=dark))


def test_one_stimulus_a_session_stops_for_nothing_would_be_left() -> None:
    stimulus = np.repeat(np.arange(4), 3)
    with pytest.raises(UsageError, match="100.0 % of the variance"):
        chosen(recorded(stimulus, stimulus))


def test_every_stimulus_in_every_session_is_no_dependence() -> None:
    found = chosen(recorded(np.tile(np.arange(5), 6), np.repeat(np.arange(6), 5)))
    assert found.standardise == "session" and "every session shows the same stimuli" in found.why


def test_labels_that_are_names_leave_it_to_the_pictures() -> None:
    found = chosen(recorded(np.arange(40), np.arange(40) // 10, labels=lambda one: {"name": str(one)}))
    assert found.dependence is not None and "pictures" in found.dependence.of


def test_windows_of_a_clip_change_places_together() -> None:
    """Five windows of a clip are heard in one session: that is no dependence of what is heard on the session."""
    clips = np.random.default_rng(0).permutation(40)
    stimulus = np.concatenate([np.arange(5) + 5 * clip for clip in clips])
    recording = recorded(
        stimulus, np.arange(200) // 50, sound=True, names=lambda one: f"c{one // 5:02d}_slide{one % 5}",
        labels=lambda one: {"clip kind": str(one // 5 % 3)},
    )  # fmt: skip
    found = dependence(recording.stimuli, recording.responses)
    assert found is not None and not found.beyond and found.chance > 0.04
    bare = recorded(stimulus, np.arange(200) // 50, sound=True, names=lambda one: f"c{one // 5:02d}_slide{one % 5}")
    heard = dependence(bare.stimuli, bare.responses)
    assert heard is not None and "sounds" in heard.of


@pytest.mark.parametrize("asked, standardise", [("", "all"), ("all", "all"), ("none", "none")])
def test_sessions_that_only_test_are_standardised_by_all_training_trials(asked: str, standardise: str) -> None:
    recording = recorded(np.arange(30), np.arange(30) // 10)
    fold = Split(name="last", train=tuple(f"s{one:03d}" for one in range(20)), test=("s020", "s021"))
    found = choose(recording, (fold,), asked=asked)
    assert found.standardise == standardise and found.announced == (not asked)
    if not asked:
        assert "session 2 has no training stimulus to standardise it by" in found.why
    with pytest.raises(UsageError, match="two training stimuli or more in each session.*take --standardise all"):
        choose(recording, (fold,), asked="session")


def test_every_fold_is_looked_at_for_sessions_without_training_trials() -> None:
    recording = recorded(np.arange(30), np.arange(30) // 10)
    ids = [f"s{one:03d}" for one in range(30)]
    folds = tuple(
        Split(name=f"f{one}", train=tuple(set(ids) - set(part)), test=tuple(part))
        for one, part in enumerate((ids[0:25:5], ids[10:20]))
    )
    assert choose(recording, folds).standardise == "all" and choose(recording, folds[:1]).standardise == "session"


def test_a_session_that_keeps_one_training_stimulus_is_standardised_by_all() -> None:
    """Two pictures a session, twice each; a fold leaves one: z-scores within would leave nothing of it."""
    stimulus = np.tile(np.arange(40), 2)
    recording = recorded(stimulus, stimulus // 2)
    ids = [f"s{one:03d}" for one in range(40)]
    folds = tuple(Split(name=f"f{one}", train=tuple(ids[one::2]), test=tuple(ids[1 - one :: 2])) for one in (0, 1))
    found = choose(recording, folds)
    assert (
        found.standardise == "all" and "20 of 20 sessions have, in a fold, fewer than two training stimuli" in found.why
    )


def test_small_sessions_are_told_what_z_scores_cost() -> None:
    order = np.random.default_rng(0).permutation(60)
    found = chosen(recorded(order, np.arange(60) // 5))
    assert found.standardise == "session" and found.announced and "about one part in 5 of what was shown" in found.why
    assert not chosen(recorded(order, np.arange(60) // 20)).announced


def test_one_session_and_none_are_told() -> None:
    found = chosen(recorded(np.arange(30), np.ones(30, int)))
    assert found.standardise == "all" and found.announced and "one session, or none" in found.sentence


def scaled(values: np.ndarray, session: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """z-scores within sessions by the statistics of these rows."""
    out = values.copy()
    for one in np.unique(session):
        mine = session == one
        out[mine] = (values[mine] - values[mine & rows].mean(0)) / values[mine & rows].std(0)
    return out


def test_responses_that_were_scaled_in_each_session_are_told_so_and_left() -> None:
    values, session = np.random.default_rng(0).normal(9, 3, (60, VOXELS)), np.arange(60) // 20
    ids = [f"s{one:03d}" for one in range(60)]
    fold = Split(name="f", train=tuple(ids[1::4] + ids[2::4] + ids[3::4]), test=tuple(ids[::4]))
    for rows in (np.ones(60, bool), np.arange(60) % 4 > 0):
        # blocked, but nothing is left to lose: by all trials, or by training trials alone
        done = scaled(values, session, rows)
        recording = recorded(np.arange(60), session, values=done, labels=lambda one: {"category": "abc"[one // 20]})
        found = choose(recording, (fold,))
        assert (
            found.standardise == "session"
            and found.announced
            and "z-scored in each session before they came" in found.why
        )


def test_a_unit_or_scaling_over_all_trials_does_not_pass_for_scaling_within_sessions() -> None:
    values = np.random.default_rng(0).normal(9, 3, (60, VOXELS)) + (np.arange(60) // 20)[:, None]
    session, one = np.arange(60) // 20, np.zeros(60, int)
    over_all = scaled(values, one, np.ones(60, bool))
    blocked = recorded(
        np.arange(60), session, unit="z", values=over_all, labels=lambda one: {"category": "abc"[one // 20]}
    )
    with pytest.raises(UsageError, match="blocked design"):
        chosen(blocked)
    mixed = chosen(recorded(np.random.default_rng(1).permutation(60), session, unit="z", values=over_all))
    assert mixed.standardise == "session" and mixed.announced and "z-scored before they came" in mixed.why
    alone = chosen(recorded(np.arange(60), one, values=over_all))
    assert alone.standardise == "all" and "z-scored before they came" in alone.why


def test_balanced_labels_do_not_hide_pictures_that_are_blocked() -> None:
    def lit(one: int) -> np.ndarray:
        return (np.random.default_rng(one).integers(0, 128, (16, 16, 3)) + 100 * (one // 30)).astype(np.uint8)

    with pytest.raises(UsageError, match="first components of the pictures"):
        chosen(recorded(np.arange(60), np.arange(60) // 30, pictures=lit, labels=lambda one: {"kind": "ab"[one % 2]}))


def test_what_is_asked_for_in_a_blocked_design_is_told_with_what_it_does() -> None:
    recording = recorded(np.arange(60), np.arange(60) // 30, labels=lambda one: {"category": "ab"[one // 30]})
    effects = {"session": "take away what was shown", "all": "read the session", "none": "read the session"}
    for standardise, does in effects.items():
        found = chosen(recording, asked=standardise)
        assert (
            found.standardise == standardise
            and found.announced
            and "the design is blocked" in found.why
            and does in found.why
        )
    mixed = chosen(recorded(np.random.default_rng(0).permutation(60), np.arange(60) // 30), asked="all")
    assert mixed.standardise == "all" and not mixed.announced and mixed.why == "asked for by --standardise"


def test_a_way_that_nobody_knows_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--standardise: expected session, all, none, found 'run'"):
        chosen(recorded(np.arange(30), np.arange(30) // 10), asked="run")


def test_the_scaler_obeys_the_choice() -> None:
    recording = recorded(np.arange(30), np.arange(30) // 10)
    train = np.arange(30) % 3 > 0
    values = recording.responses.values
    for standardise in ("session", "all", "none"):
        responses = Choice(standardise=standardise, why="").on(recording).responses
        scaler = SessionScaler.fit(responses, train)
        scaled, again = scaler.apply(responses), SessionScaler.from_arrays(scaler.arrays())
        np.testing.assert_array_equal(scaled.values, again.apply(responses).values)
        assert scaled.standardise == standardise
        if standardise == "none":
            assert scaled is responses and scaler.leaves and scaled.space.unit == "psc"
        if standardise == "all":
            want = (values - values[train].mean(0)) / values[train].std(0)
            np.testing.assert_allclose(scaled.values, want, rtol=1e-2, atol=1e-2)
            assert scaled.space.unit == "z" and scaler.mean.shape == (1, VOXELS)
            # a session that nobody trained on is standardised like the others
            other = recorded(np.arange(4), [9, 9, 9, 9]).responses
            assert scaler.knows(other).all() and scaler.apply(other).values.shape == (4, VOXELS)


def test_the_table_counts_trials_stimuli_and_labels() -> None:
    stimulus = [0, 0, 1, 2, 2, 3]
    table = by_session(recorded(stimulus, [1, 1, 1, 2, 2, 2], labels=lambda one: {"category": "ab"[one // 2]}))
    assert [(row["session"], row["trials"], row["stimuli"]) for row in table] == [(1, 3, 2), (2, 3, 2)]
    assert table[0]["labels"] == {"category": {"a": 3}} and table[1]["shown"] == ["s002", "s003"]


def test_few_random_designs_stop() -> None:
    """The price of the rule: of random designs of 20 stimuli in 4 sessions hardly any is taken for a blocked one."""
    stopped = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        recording = recorded(
            rng.permutation(20), np.arange(20) // 5, labels=lambda one, rng=rng: {"a": str(rng.integers(2))}
        )
        found = dependence(recording.stimuli, recording.responses)
        stopped += found is not None and found.beyond
    assert stopped <= 4  # at a rate of .02, more than 4 of 40 come once in 600 times


@pytest.mark.skipif(not MIYAWAKI.is_file(), reason="the small real data are not at hand")
def test_real_figures_shown_in_halves_stop() -> None:
    """Miyawaki's figures: 8 runs show five of ten, 8 runs the others."""
    data = np.load(MIYAWAKI)
    figure = data["figure"]
    first = {int(one): int(np.flatnonzero(figure == one)[0]) for one in np.unique(figure)}

    def picture(one: int) -> np.ndarray:
        return np.repeat(255 * data["images"][first[one]][:, :, None], 3, 2).astype(np.uint8)

    with pytest.raises(UsageError, match="blocked design"):
        chosen(recorded(figure.tolist(), np.arange(80) // 5, pictures=picture))


def written(path: Path, *, blocked: bool, **more: np.ndarray) -> Path:
    """Own data of 24 grey pictures, twice each, whose patterns are their pixels; four sessions."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 120, (24, 8, 8)) + (120 * (np.arange(24) // 6 % 2))[:, None, None] * blocked
    trials = np.tile(np.arange(24), 2)
    session = trials // 6 if blocked else np.arange(48) // 12
    if not blocked:
        trials = np.concatenate([rng.permutation(24), rng.permutation(24)])
    x = pictures.reshape(24, -1)[trials] / 40 + rng.normal(size=(48, 64))
    np.savez(
        path, responses=x.astype(np.float32), stimulus=trials, images=pictures.astype(np.uint8), session=session + 1,
        **more,
    )  # fmt: skip
    return path


def test_a_study_of_a_blocked_design_stops_before_work_and_runs_as_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = written(tmp_path / "blocked.npz", blocked=True, group=np.tile(np.arange(24) % 4, 2)), tmp_path / "run"
    words = ["fit", str(data), "--recipe", "pixels-ridge", "--out", str(run), "--refits", "0"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "blocked design" in said and "--standardise all" in said and not run.exists()
    assert main([*words, "--standardise", "all"]) == 0
    card = (run / "card.json").read_text(encoding="utf-8")
    assert '"standardise": "all"' in card and "asked for by --standardise" in card
    assert main(["inspect", str(data)]) == 0
    announced = capsys.readouterr()
    assert "session 1: 12 trials of 6 stimuli; stimuli 0, 1, 2, 3, 4, ..." in announced.out
    assert "note: " in announced.out and "blocked design" in announced.out


def test_the_choice_stands_in_the_run_and_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = written(tmp_path / "mixed.npz", blocked=False), tmp_path / "run"
    words = [str(run), "--rows", "decoded"]
    assert main(["fit", str(data), "--recipe", "pixels-ridge", "--out", str(run), "--refits", "0"]) == 0
    assert "standardisation" not in capsys.readouterr().out
    assert '"standardise": "session"' in (run / "card.json").read_text(encoding="utf-8")
    assert main(["decode", *words]) == 0
    assert main(["decode", *words, "--standardise", "all"]) == 2
    assert "standardise" in capsys.readouterr().err
