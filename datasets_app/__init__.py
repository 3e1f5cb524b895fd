"""Raw data and datasets."""
