"""How commands are read, shown and ended."""
