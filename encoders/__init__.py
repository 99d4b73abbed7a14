"""From brains to conditions: condition spaces, mappings, rescaling of predictions, encoding accuracy."""
