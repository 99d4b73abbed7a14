"""Sounds in numbers: the mel recipe of the towers, and acoustic descriptions without any network."""
