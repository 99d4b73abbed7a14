"""Parts of the reader of the Natural Scenes Dataset, `brain.readers.nsd`."""
