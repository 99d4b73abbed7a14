"""Parts of the reader of time series, `brain.readers.series`."""
