"""How long a simulated session is."""

TRIALS = {"image": 750, "sound": 350}
"""Trials of a session: pictures as in NSD, presentations of clips."""
