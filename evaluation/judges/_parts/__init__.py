"""What several judges share; nothing here is an entry."""
