"""From brains to conditions: condition spaces, ridge mappings, what a guess must satisfy, encoding accuracy."""
