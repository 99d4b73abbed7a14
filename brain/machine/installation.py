"""How this code was installed: the distribution's name, its version, and the command that adds an extra.

The import names are plain words and the command is called afterimage; the distribution is `afterimage-brain`, because
the bare name on the package index belongs to another project.

    raise UsageError(expected("condition space", "the package open_clip", "none", extra("openclip")))
"""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from importlib.metadata import version as version_of
from pathlib import Path

DISTRIBUTION = "afterimage-brain"
ROOT = Path(__file__).resolve().parents[2]
"""The folder that the rooms lie in: a checkout, or an environment's site-packages."""


def version() -> str:
    """The installed version, or the word uninstalled in a bare checkout."""
    try:
        return version_of(DISTRIBUTION) or "uninstalled"
    except PackageNotFoundError:
        return "uninstalled"


def extra(name: str) -> str:
    """The command that installs an extra, as it fits a checkout, a wheel's file, or an index.

    Of a wheel the file's name alone is said, for such sentences end in reports, which hold no paths.
    """
    if _is_checkout():
        return f'pip install -e ".[{name}]"'
    wheel = _wheel()
    return f'pip install "{wheel}[{name}]"' if wheel else f'pip install "{DISTRIBUTION}[{name}]"'


def _wheel() -> str:
    """The name of the wheel's file that this was installed from, "" where it came from an index or nobody knows."""
    try:
        origin = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError, RecursionError):
        return ""
    url = origin.get("url") if isinstance(origin, dict) else ""
    name = re.search(r"/([A-Za-z0-9_.+-]+\.whl)(?:[?#].*)?$", url) if isinstance(url, str) else None
    return name[1] if name else ""


def _is_checkout() -> bool:
    """Whether a pyproject.toml beside the rooms is this project's: a stranger's may lie among other packages."""
    path = ROOT / "pyproject.toml"
    return path.is_file() and f'name = "{DISTRIBUTION}"'.encode() in path.read_bytes()
