"""What is true of the Natural Scenes Dataset whatever the code: sizes, names, spellings (Allen et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping

IMAGES = 73000
SHARED = 1000
PER_SUBJECT = 10000
SUBJECTS = 8
SESSIONS = 40
SESSION_TRIALS = 750
RUNS = 12
SLOTS = 75
SHOWINGS = 3
SCALE = 300
"""Betas are percent signal change times this, as int16."""

SPACE = "func1pt8mm"
BETAS = "betas_fithrf_GLMdenoise_RR"

LABELS: Mapping[str, Mapping[int, str]] = {
    "prf-visualrois": {1: "V1v", 2: "V1d", 3: "V2v", 4: "V2d", 5: "V3v", 6: "V3d", 7: "hV4"},
    "floc-faces": {1: "OFA", 2: "FFA-1", 3: "FFA-2", 4: "mTL-faces", 5: "aTL-faces"},
    "floc-bodies": {1: "EBA", 2: "FBA-1", 3: "FBA-2", 4: "mTL-bodies"},
    "floc-places": {1: "OPA", 2: "PPA", 3: "RSC"},
    "floc-words": {1: "OWFA", 2: "VWFA-1", 3: "VWFA-2", 4: "mfs-words", 5: "mTL-words"},
    "streams": {
        1: "early",
        2: "midventral",
        3: "midlateral",
        4: "midparietal",
        5: "ventral",
        6: "lateral",
        7: "parietal",
    },
    "prf-eccrois": {1: "ecc0pt5", 2: "ecc1", 3: "ecc2", 4: "ecc4", 5: "ecc4+"},
    "nsdgeneral": {1: "nsdgeneral"},
    "food": {1: "food"},
}
"""Atlas -> label -> name as NSD spells it; `food` is our addition, NSD has no such mask."""

FSAVERAGE_ATLASES = ("nsdgeneral", "streams")
"""The atlases whose names NSD also keeps under fsaverage; those of prf and floc stand with the subjects alone."""

RESPONSE_COLUMNS = (
    "SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID", "TIME", "ISOLD", "ISCORRECT", "RT", "CHANGEMIND",
    "MEMORYRECENT", "MEMORYFIRST", "ISOLDCURRENT", "ISCORRECTCURRENT", "TOTAL1", "TOTAL2", "BUTTON", "MISSINGDATA",
)  # fmt: skip

UNIONS: Mapping[str, tuple[str, ...]] = {
    "V1": ("V1v", "V1d"),
    "V2": ("V2v", "V2d"),
    "V3": ("V3v", "V3d"),
    "FFA": ("FFA-1", "FFA-2"),
    "FBA": ("FBA-1", "FBA-2"),
    "VWFA": ("VWFA-1", "VWFA-2"),
}
"""Name of a union -> the regions it joins, those of them that a subject has."""

VERSIONS = (BETAS, "betas_fithrf", "betas_assumehrf")
"""The betas' versions, the most used first."""

SPACES = (SPACE, "func1mm")

SUBJECT_SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)
SUBJECT_VOLUMES = (
    (81, 104, 83),
    (82, 106, 84),
    (81, 106, 82),
    (85, 99, 80),
    (79, 97, 78),
    (85, 113, 83),
    (78, 95, 81),
    (80, 103, 78),
)
"""(X, Y, Z) of func1pt8mm."""

NSDGENERAL_VOXELS = (15724, 14278, 15226, 13153, 13039, 17907, 12682, 14386)
