"""The judge's room: reads a folder of samples, scores it against the references, and writes the report.

It imports neither decode nor pipelines, so it can judge anyone's results: `python -m evaluation FOLDER`.
"""
