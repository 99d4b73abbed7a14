"""The two faces of afterimage: the command line, and later the demo. They decide nothing; only app knows gradio."""
