"""What a Hugging Face Space starts: the public demo of the runs beside this file, or of a small one that it makes.

    python app.py          in a folder that `make space` has put together

The wheel is unpacked here and not named in requirements.txt, for a Space is built from that file alone, before there
are others. Commands run in processes of their own, elsewhere: here this file would be taken for the package `app`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIMULATE = ("simulate", "data", "--sessions", "1", "--trials", "450")
STUDY = ("study", "data", "--recipe", "bayes-miniature", "--out", "small-study")
"""Two minutes on two cores: 150 stimuli, a tenth of them tested."""
SHOW = ("--public", "--host", "0.0.0.0", "--no-browser")
PORT = "7860"
"""Where a Space is looked for, unless GRADIO_SERVER_PORT names another."""


def unpacked(wheel: Path, packages: Path) -> Path:
    """The folder of Python packages in which this wheel lies unpacked."""
    home = packages / wheel.stem
    if not home.is_dir():
        part = packages / f".{wheel.stem}.part"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(part)
        part.rename(home)
    return home


def shown(runs: Path, work: Path, environment: Mapping[str, str]) -> list[Path]:
    """The finished runs in `runs`; where there is none the small one, which is made in `work`."""
    found = sorted(path.parent for path in runs.glob("*/settings.json"))
    if found:
        return found
    for words in (SIMULATE, STUDY):
        subprocess.run([sys.executable, "-m", "app.cli", *words], cwd=work, env=dict(environment), check=True)
    return [work / "small-study"]


def main() -> None:
    """Becomes the demo's server, once there is something to show."""
    wheels = sorted(HERE.glob("afterimage_brain-*.whl"))
    if len(wheels) != 1:
        sys.exit(f"{HERE}: expected one wheel of afterimage, found {len(wheels)}; put the folder together: make space")
    work = HERE / "work"
    work.mkdir(exist_ok=True)
    packages = unpacked(wheels[0], HERE / "packages")
    environment = {**os.environ, "PYTHONPATH": str(packages), "PYTHONUNBUFFERED": "1"}
    runs = shown(HERE / "runs", work, environment)
    port = os.environ.get("GRADIO_SERVER_PORT", PORT)
    os.chdir(work)
    command = [sys.executable, "-m", "app.cli", "app", *map(str, runs), *SHOW, "--port", port]
    os.execve(sys.executable, command, environment)


if __name__ == "__main__":
    main()
