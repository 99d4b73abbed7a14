"""Both exports of a report.

export(report)    writes REPORT/rdms.hdf5 for rsatoolbox and REPORT/human/ for a blinded test with people
"""

from __future__ import annotations

from pathlib import Path

from brain.writing.locks import claim
from evaluation.report.types import Report


def export(report: Report) -> tuple[Path, ...]:
    """Writes both beside the report and returns their paths.

    The same again writes what is missing. A test of other samples or another seed in the folder is an InputError; no
    room, no rights or another process at work there is a StorageError.
    """
    from evaluation.export.human import write_human_test
    from evaluation.export.rdms import write_rdms

    ids = sorted(set.intersection(*(set(names) for names in report.findings.ids.values())))
    features = {}
    for row, values in report.findings.features.items():
        place = {name: number for number, name in enumerate(report.findings.ids[row])}
        features[row] = values[[place[name] for name in ids]]
    seed = int(report.card["evaluation"]["seed"])
    rows = tuple(row for row in ("decoded", "shuffled") if row in report.rows())
    with claim(report.folder):
        rdms = write_rdms(report.folder / "rdms.hdf5", features, ids)
        page = write_human_test(report.samples, report.folder / "human", rows=rows, seed=seed)
    return rdms, page
