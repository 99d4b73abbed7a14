"""What several synthesis methods share."""
