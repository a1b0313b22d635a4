"""Readers of the datasets that the papers report on, each in its own published format."""
