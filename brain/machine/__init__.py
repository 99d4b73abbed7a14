"""What computes, what memory there is, and how arrays lie in it."""
