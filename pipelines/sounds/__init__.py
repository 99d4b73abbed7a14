"""The pipeline that draws sounds with AudioLDM and AudioLDM 2, its parts, and a random stack for tests."""
