"""Looks through a built site for what its pages would load from another machine.

    python tests/foreign_addresses.py _build/docs

A link that a reader may follow is none of these; a script, style, font, picture, frame or sound is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

LOADS = {
    "script": ("src",), "img": ("src", "srcset"), "source": ("src", "srcset"), "audio": ("src",), "track": ("src",),
    "video": ("src", "poster"), "iframe": ("src",), "embed": ("src",), "object": ("data",), "link": ("href",),
    "form": ("action",), "use": ("href",), "image": ("href",), "input": ("src",), "base": ("href",),
}  # fmt: skip
FOREIGN = re.compile(r"\s*(?:https?:)?//", re.I)
STYLE = re.compile(r"url\(\s*['\"]?((?:https?:)?//[^)'\"]+)|@import\s+['\"]((?:https?:)?//[^'\"]+)", re.I)
SCRIPT = re.compile(
    r"(?:import\s*\(?|from|fetch\(|\.src\s*=|importScripts\(|open\(\s*['\"]GET['\"]\s*,)\s*['\"`]((?:https?:)?//[^'\"`]+)"
)
KINDS = ("stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest")
"""What a <link> has to be to load something; canonical, next and search load nothing."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.inside = tag if tag in ("style", "script") else ""
        if tag != "link" or any(one in known.get("rel", "").lower().split() for one in KINDS):
            places = (place for name in LOADS.get(tag, ()) for place in known.get(name, "").split(", "))
            self.found += [f"<{tag}> {place.strip()}" for place in places if FOREIGN.match(place)]
        self.found += [f"style= {one}" for one in addresses(STYLE, known.get("style", ""))]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found += addresses(STYLE if self.inside == "style" else SCRIPT, data)


def addresses(pattern: re.Pattern[str], text: str) -> list[str]:
    """Every address that the pattern finds in a text."""
    return [next(filter(None, found.groups())) for found in pattern.finditer(text)]


def foreign(site: Path) -> Iterator[str]:
    """One line a thing that a page, style or script would load from elsewhere: file and address."""
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            page = _Page()
            page.feed(path.read_text("utf-8"))
            found = page.found
        elif path.suffix in (".css", ".svg"):
            found = addresses(STYLE, path.read_text("utf-8"))
        elif path.suffix in (".js", ".mjs"):
            found = addresses(SCRIPT, path.read_text("utf-8"))
        else:
            continue
        yield from (f"{path.relative_to(site)}: {one}" for one in found)


if __name__ == "__main__":
    lines = list(foreign(Path(sys.argv[1])))
    print("\n".join(lines) or f"{sys.argv[1]}: its pages load nothing from another machine")
    sys.exit(bool(lines))
