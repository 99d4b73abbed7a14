"""Data of a visitor: received, looked at and studied in child processes with limits, shown to that visitor alone.

routes      the two requests that are answered besides gradio's: an upload in, a run out
receive     a request's body as a file of a name that is not the sender's
upload      what one visitor has uploaded, checked and decoded
processes   a child process that is followed line by line and killed as a whole
limits      what a child may take of the machine, and that it has no network
child       the child itself: `python -m app.demo.uploads.child check`
recipes     which recipes take a file
work        checking and studying, as generators of views
archive     a finished run as a zip file
"""
