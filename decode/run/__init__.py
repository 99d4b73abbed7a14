"""The run folder: what was asked, where things lie, whose data, which rows are drawn from what."""
