"""The digest of several things at once."""

from __future__ import annotations

import hashlib


def sha256_of(*parts: bytes) -> str:
    """The hex digest of the parts, each preceded by its length so that no two lists of parts collide."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
