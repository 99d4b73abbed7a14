"""Tries the wheel where it is installed: its size, `--help`, `list`, a tiny study to its report, far from a checkout.

    python tests/wheel.py dist/afterimage_brain-0.1.0-py3-none-any.whl ENVIRONMENT/bin EMPTY_FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
LIMIT = 90 * 10**6
"""Bytes of a wheel; package indexes take 100 MB."""
STUDY = ("--recipe", "takagi-miniature", "--rows", "decoded", "shuffled", "--steps", "2", "--bootstrap", "100",
         "--permutations", "99")  # fmt: skip


def committed(checkout: Path) -> list[str]:
    """The files of the checkout, those that are new and not ignored among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in found if (checkout / name).is_file()]


def built(checkout: Path, home: Path) -> Path:
    """The wheel, in `home`, built from a copy of the checkout there, so that nothing is left in it."""
    for name in committed(checkout):
        if name.startswith((*(f"{room}/" for room in ROOMS), "pyproject.toml", "README.md", "LICENSE")):
            (home / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(checkout / name, home / "copy" / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*command, "--wheel-dir", str(home), str(home / "copy")], check=True)
    (found,) = home.glob("*.whl")
    return found


def lent(home: Path, *wheels: Path) -> Path:
    """The packages of an environment at `home` that has these wheels, and what this one has as a loan.

    Last on its path, and only packages are read from there, no .pth file, and so no editable install.
    """
    venv.create(home, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "--no-deps", "--no-index", "--quiet"]
    for wheel in wheels:
        subprocess.run([*pip, str(wheel)], check=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return own


def requirements(wheel: Path) -> list[str]:
    """The lines of the wheel's metadata that name what it needs, of its extras too."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    return [line.partition(": ")[2] for line in text.splitlines() if line.startswith("Requires-Dist: ")]


def tried(binaries: Path, place: Path, *, environment: Mapping[str, str]) -> str:
    """Runs the installed command in `place`, and returns what it printed; a failure is a CalledProcessError."""
    place.mkdir(parents=True, exist_ok=True)
    said = []

    def run(*words: str) -> None:
        command = [str(binaries / "afterimage"), *words]
        found = subprocess.run(command, cwd=place, env=dict(environment), capture_output=True, text=True)
        sys.stderr.write(found.stderr if found.returncode else "")
        found.check_returncode()
        said.append(found.stdout)

    run("--help")
    run("--version")
    for kind in ("", "recipes", "stacks"):
        run("list", *filter(None, [kind]))
    run("simulate", "data", "--sessions", "1", "--trials", "60")
    run("study", "data", "--out", "run", *STUDY)
    page = place / "run" / "report" / "report.html"
    assert page.is_file() and "Simulated" in page.read_text("utf-8"), f"{page}: expected a report"
    return "\n".join(said)


if __name__ == "__main__":
    wheel, binaries, place = map(Path, sys.argv[1:])
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 1e6:.1f} MB")
    assert size < LIMIT, f"expected less than {LIMIT / 1e6:.0f} MB"
    bare = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    print(tried(binaries.absolute(), place.absolute(), environment=bare))
