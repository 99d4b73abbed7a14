"""The demo: finished runs in a browser, seen, heard, drawn again and judged.

session     everything it does, without gradio: `House`, `Visitor`, their views
knobs       what can be asked for, and the command that does the same
views       what is seen, as plain values
brain       what the brain gave to a stimulus, on a surface where it belongs on one
surface     the mesh of a page, and where voxels lie on it
runs        finished runs as the demo opens them
looks       pictures, spectrograms, players, slices and charts as they stand in a page
pages       views as HTML
guard       which requests are answered at all
uploads     data of a visitor: received, looked at and studied in child processes with limits
interface   the tabs, which call the session and hold no numbers of their own
serve       starts the server
"""
