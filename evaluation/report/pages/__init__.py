"""Pages: reports as single HTML files without remote content and without scripts."""
