"""Draw: test patterns become conditions, conditions become pictures or sounds."""
