"""Readers of datasets: what samples there are, in shards, and each one's image, text and truth."""
