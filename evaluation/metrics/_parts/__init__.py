"""What several metrics share; nothing here is an entry."""
