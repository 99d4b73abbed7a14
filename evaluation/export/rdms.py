"""Representational dissimilarity: correlation distances between stimuli, written so that rsatoolbox reads them.

`rsatoolbox.rdm.load_rdm(str(path))` opens what `write_rdms` wrote; nothing of rsatoolbox is needed to write it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from brain.data.correlation import pairwise
from brain.errors import InputError
from brain.writing.opener import writing_hdf5

Wide = NDArray[np.float64]

# Text in these files is ASCII: rsatoolbox reads it as such.
PLAIN = " !\"#$&'()*+,/:;<=>?@[\\]^_`{|}~-."


def rdm(values: NDArray[np.floating]) -> Wide:
    """(pair,) float64: 1 - Pearson correlation of (stimulus, feature) values, pairs (0, 1), (0, 2), ..., (1, 2), ...

    A stimulus without variance correlates with nothing: distance 1.
    """
    distance: Wide = 1 - pairwise(values, values)[np.triu_indices(len(values), 1)]
    return distance


def rdm_correlation(first: Wide, second: Wide) -> float:
    """Pearson correlation of two RDMs (pair,) as `rdm` gives them; rsatoolbox's compare(..., method="corr")."""
    if first.shape != second.shape or first.ndim != 1:
        raise InputError(
            f"two RDMs: expected as many pairs in both, found {first.shape} and {second.shape}; give one order"
        )
    return float(pairwise(first[None], second[None])[0, 0])


def write_rdms(path: Path, features: Mapping[str, NDArray[np.floating]], ids: Sequence[str]) -> Path:
    """Writes one RDM a name ("decoded", "references", "V1") from (stimulus, feature) values in the order of `ids`.

    `path` ends in .h5 or .hdf5, by which rsatoolbox knows the layout. The RDMs carry the descriptor "name", the
    conditions the descriptor "stimulus"; characters outside ASCII are percent-quoted in both. Arrays that do not fit
    the ids, fewer than three stimuli or values that are not finite are an InputError, no room a StorageError.
    """
    if path.suffix not in (".h5", ".hdf5"):
        raise InputError(f"{path}: expected a name that ends in .h5 or .hdf5, found {path.suffix!r}; rename it")
    if not features or len(ids) < 3 or len(set(ids)) < len(ids):
        raise InputError(
            f"{path}: expected a set of values and three different stimuli or more, found {len(features)} and "
            f"{len(set(ids))}; judge more stimuli"
        )
    for name, values in features.items():
        if values.ndim != 2 or len(values) != len(ids) or not np.isfinite(values).all():
            raise InputError(
                f"{path}: expected finite ({len(ids)} stimuli, feature) values for {name!r}, found {values.shape}; "
                "leave out stimuli without a sample everywhere"
            )
    with writing_hdf5(path) as out:
        out.attrs["dissimilarity_measure"] = "correlation"
        rdms = np.stack([rdm(values) for values in features.values()])
        out.create_dataset("dissimilarities", data=rdms, fletcher32=True)
        out.create_group("descriptors")
        out["rdm_descriptors/name"] = _texts(features)
        out["rdm_descriptors/index"] = np.arange(len(features))
        out["pattern_descriptors/stimulus"] = _texts(ids)
        out["pattern_descriptors/index"] = np.arange(len(ids))
    return path


def _texts(texts: Sequence[str] | Mapping[str, object]) -> NDArray[np.bytes_]:
    return np.array([quote(text, safe=PLAIN) for text in texts], np.bytes_)
