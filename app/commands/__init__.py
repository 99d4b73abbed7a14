"""One module a command: each has `run(words)`, which turns flags into settings and hands them to `decode`."""
