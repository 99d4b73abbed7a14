"""Reports: what a judge found, in words and files, computed anew by an audit."""
