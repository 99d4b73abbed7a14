"""`afterimage bank build|check`: candidates that no brain has answered to, the prior of a Bayesian reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from app.flags import parse
from brain.console.bounds import seed_within, within
from brain.errors import UsageError, expected

SEED = 987_654
"""Of --drawn: none that studies have, for `afterimage simulate` draws by its own."""
SOURCES = ("--captions FILE", "--images DIR", "--sounds DIR", "--drawn COUNT")


def run(words: Sequence[str]) -> None:
    """Builds a bank, or goes on with one; or checks one that is there."""

    def bank(
        what: Positional[Literal["build", "check"]],
        folder: Positional[Path],
        *,
        stack: str = "",
        captions: Path | None = None,
        images: Path | None = None,
        sounds: Path | None = None,
        drawn: int = 0,
        modality: Literal["image", "sound"] = "image",
        spaces: tuple[str, ...] = (),
        components: int = 128,
        latents: int = 64,
        seed: int = SEED,
        device: str = "cpu",
        data: Path | None = None,
    ) -> None:
        """Build a bank of candidates for the method bayes, or check one. A build that is stopped goes on when it is
        run again.

        Args:
            what: build or check.
            folder: The bank's folder.
            stack: Checkpoints whose conditions are meant, see `afterimage stacks`; check: is it of this one?
            captions: COCO captions (.json), two columns id and caption (.csv, .tsv), or a caption a line (.txt).
            images: A folder of pictures; with --captions, those of the same names.
            sounds: A folder of sounds.
            drawn: How many scenes or sounds our simulation draws.
            modality: Of --drawn: image or sound.
            spaces: Spaces to encode in; none takes all that these items can be encoded in.
            components: Principal components of a condition that are kept.
            latents: Principal components of a latent that are kept.
            seed: Of --drawn, a seed that no study has; and of the order in which axes are found.
            device: Where networks run: cpu, cuda, mps.
            data: No test stimulus of these data may be in the bank.
        """
        within("--components", components, 1, 4096)
        within("--latents", latents, 1, 4096)
        within("--drawn", drawn, 0)
        seed_within(seed)
        given = [name for name, one in zip(SOURCES, (captions, images, sounds, drawn), strict=True) if one]
        if what == "check":
            built = [
                ("--spaces", spaces), ("--components", components != 128), ("--latents", latents != 64),
                ("--modality", modality != "image"), ("--seed", seed != SEED), ("--device", device != "cpu"),
            ]  # fmt: skip
            given += [name for name, one in built if one]
            if given:
                then = "leave it out: it is of bank build"
                raise UsageError(expected("bank check", "a bank's folder, --stack and --data alone", given[0], then))
            return _check(folder, stack=stack, data=data)
        if len(given) != 1 and given != [SOURCES[0], SOURCES[1]]:
            found = " and ".join(given) or "none"
            raise UsageError(expected("bank build", f"one of {', '.join(SOURCES)}", found, "say what it is made of"))
        if modality != "image" and not drawn:
            raise UsageError(expected("bank build", "--modality beside --drawn", given[0], "leave it out"))
        if not stack:
            then = "add --stack miniature-image, for one"
            raise UsageError(expected("bank build", "--stack, whose conditions are meant", "none", then))
        from decode.stages.bank import build
        from encoders.voxelwise.bank_items import caption_items, drawn_items, file_items
        from encoders.voxelwise.banks import FEWEST
        from pipelines.stacks.find import resolve

        resolve(stack, numbers=False)  # before scenes are planned
        if 0 < drawn < FEWEST:
            raise UsageError(expected("--drawn", f"{FEWEST} items or more", str(drawn), "give more"))
        if drawn:
            items = drawn_items(drawn, seed=seed, modality=modality)
        elif images is not None or sounds is not None:
            kind, place = ("image", images) if images is not None else ("sound", sounds)
            assert place is not None
            items = file_items(place, modality=kind, captions=captions)
        else:
            assert captions is not None
            items = caption_items(captions)
        build(
            folder, stack=stack, items=items, spaces=spaces, components=components, latents=latents, device=device,
            seed=seed,
        )  # fmt: skip
        _check(folder, stack=stack, data=data)

    parse(bank, command="bank", words=words)


def _check(folder: Path, *, stack: str, data: Path | None) -> None:
    from decode.stages.bank import check

    for line in check(folder, stack=stack, data=data):
        print(line)
