"""Artifacts to a page that a person can audit offline: every word's map, every phrase's points, mask and truth."""
