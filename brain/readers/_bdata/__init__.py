"""Parts of the reader of BData, `brain.readers.bdata`."""
