"""A folder of samples: its format, its rows, its writer and its readers; pictures and sounds as files."""
