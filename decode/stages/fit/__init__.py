"""Fit: training trials and the conditions of what was shown become mappings."""
