"""Evaluate: RUN/samples become RUN/report, unless the report of these very samples is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from brain.errors import UsageError, expected, together
from brain.machine.arithmetic import arithmetic
from brain.writing.origin import simulated_by
from brain.writing.places import free_targets
from decode.methods import present_cards
from decode.run.folder import RunFolder
from decode.run.settings import EvaluationSettings, MachineSettings, Settings, public, spaces_of, to_json
from decode.stages.own_data import accept
from encoders.spaces import CATALOGUE as SPACES
from evaluation.facts import read_json
from evaluation.find_judge import judge_of
from evaluation.judges import Judge
from evaluation.report.files import FILES, PAGE, free_leaves, leaves
from evaluation.samples.rows import FILE as CARDS
from evaluation.samples.rows import add_cards
from evaluation.samples.types import INDEX
from evaluation.statistics.folds import NULL
from evaluation.statistics.posteriors import files_of


def evaluate_run(out: Path, settings: Settings, data: Path, *, say: Callable[[str], object] = print) -> Path:
    """Judges the run in `out` as `settings` say and returns the path of the page; findings go to `say`."""
    run = RunFolder(out)
    # a misspelt name is said before the run's settings take it in
    judging = check_names(run, settings)
    with run.lock():
        accept(run, settings, data, ("machine", "evaluate"))
        add_cards(run.samples, present_cards(settings))
        if settings.evaluation.curves:
            from decode.stages.judge.curves import draw_curves

            draw_curves(run, settings, data, stimuli=settings.evaluation.curve_stimuli)
        asked = {**_public(settings.evaluation), "samples": _digest(run)}
        page = run.report / "report.html"
        if _is_judged(run, settings):
            say(f"{out}: judged already")
            return page
        if page.is_file() and run.card_facts().get("evaluate", {}).get("page") != PAGE:
            say(f"{out}: the page there is an earlier version's and is written anew")
        from decode.stages.judge.brain_encoder import write_encoder


        bench = judging.open()
        if lacking := write_encoder(run, settings, data, bench):
            say(lacking)
        if "simulated" not in run.card_facts() and data.exists():
            # cards of runs from before did not say whose brain it is
            run.add_to_card({"simulated": simulated_by(data)})
        page = judge(out, settings.evaluation, seed=settings.machine.seed, say=say)
        # a report is written whole, by what computes now
        metrics = _metrics(settings)
        written = {"metrics": metrics, "arithmetic": arithmetic(), "report": _report_digest(run), "page": PAGE}
        run.add_to_card({"evaluate": {**asked, **written}})
        return page


def check_judging(run: RunFolder, settings: Settings) -> None:
    """Refuses, before any work, what could not be judged in the end: unknown names, numbers, an absent judge.

    Weights that are not at hand are a CheckpointAbsent. A report that stands for these very samples needs no judge.
    """
    judging = check_names(run, settings)
    if not _is_judged(run, settings):
        judging.open()


def check_names(run: RunFolder, settings: Settings) -> Judge:
    """The judge that is asked for; unknown names, too few resamples, another profile's report there: UsageError."""
    from evaluation.profiles import find_profile
    from evaluation.report.evaluate import Judging, check_draws
    from evaluation.samples.sounds import SOUND

    how, modality = settings.evaluation, modality_of(settings)
    together([
        lambda: judge_of(how.judge, modality),
        lambda: find_profile(how.profile),
        lambda: check_draws(Judging(bootstrap=how.bootstrap, permutations=how.permutations)),
    ])  # fmt: skip
    profile = find_profile(how.profile, modality)
    if modality == SOUND and not set(profile.metrics) & set(find_profile("clean", SOUND).metrics):
        raise UsageError(f"--profile: expected one for sounds, found {how.profile}; take --profile clean")
    facts = read_json(run.report / "report.json").get("profile", {})
    written = facts.get("name", profile.name) if isinstance(facts, dict) else profile.name
    if written != profile.name:
        raise UsageError(
            f"--profile {how.profile}: {run.report} holds a report by profile {written}, which would be lost; write "
            f"beside it with `afterimage evaluate {run.path} --profile {how.profile} --out FOLDER`"
        )
    free_targets(run.report, FILES)
    free_leaves(run.report)
    return judge_of(how.judge, modality)


def modality_of(settings: Settings) -> str:
    """What the run draws, image or sound: what its spaces encode."""
    return SPACES[spaces_of(settings.maps)[0]].modality


def _public(how: EvaluationSettings) -> dict[str, object]:
    """The settings without the place of a judge of the user's own, and the digest of all, by which they are known."""
    facts = to_json(how)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return {"settings": public(how), "asked": digest}


def _is_judged(run: RunFolder, settings: Settings) -> bool:
    """Whether the report of these very samples, as these settings ask for it, stands."""
    facts = run.card_facts().get("evaluate", {})
    asked = {**_public(settings.evaluation), "samples": _digest(run)}
    found = {name: one for name, one in facts.items() if name not in ("arithmetic", "metrics", "report", "page")}
    same = facts.get("metrics", now := _metrics(settings)) == now
    same = same and facts.get("page") == PAGE
    return same and found == asked and facts.get("report") == _report_digest(run)


def judge(
    folder: Path,
    how: EvaluationSettings,
    *,
    seed: int = MachineSettings().seed,
    references: Path | None = None,
    train: Path | None = None,
    out: Path | None = None,
    say: Callable[[str], object] = print,
) -> Path:
    """Judges any folder of pictures, says the ladder, and returns the path of the page."""
    from evaluation.report.evaluate import Judging, evaluate
    from evaluation.report.pages.page import answer

    if how.curves and (not (folder / "settings.json").is_file() or (references, train, out) != (None, None, None)):
        came = f"{folder}, which is none or has --references, --train or --out"
        raise UsageError(expected("--curves", "a run as it was made", came, "name a run alone, or leave --curves out"))
    judging = Judging(
        judge=how.judge, profile=how.profile, seed=seed, bootstrap=how.bootstrap, permutations=how.permutations,
        train=train,
    )  # fmt: skip
    report = evaluate(folder, how=judging, references=references, out=out, exported=how.export)
    for sentence in (*answer(report), *report.stated(), *report.said(), *report.noted()):
        say(sentence)
    say(report.table())
    if lacking := report.lacking():
        say(lacking)
    if how.export:
        from evaluation.export.write import export

        for path in export(report):
            say(str(path))
    return report.page


def _metrics(settings: Settings) -> list[str]:
    """The metrics that this installation has of the profile: one more or one less makes another report."""
    from evaluation.profiles import find_profile

    return [one.name for one in find_profile(settings.evaluation.profile, modality_of(settings)).present]


def _report_digest(run: RunFolder) -> str:
    """The digest of the report's files, by which it is told from one that another call has written in their place.

    "" where one of them is missing; the card of a run that was judged by an earlier version has none.
    """
    found = hashlib.sha256()
    for path in (*(run.report / name for name in FILES), *leaves(run.report)):
        if not path.is_file():
            return ""
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _digest(run: RunFolder) -> str:
    """The digest of every sample's line, curves' too, of the refits, and of what posteriors say."""
    found = hashlib.sha256()
    cards = [run.samples / CARDS] if (run.samples / CARDS).is_file() else []
    curves = run.path / "curves" / "samples" / INDEX
    for index in (*cards, *files_of(run.path), run.samples / INDEX, curves, run.path / NULL):
        found.update(index.read_bytes() if index.is_file() else b"none")
    return found.hexdigest()
