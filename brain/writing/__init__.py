"""The one road to the disk: whole or not at all, held by one process, never through a link."""
