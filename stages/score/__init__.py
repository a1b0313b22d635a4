"""Masks and truth to figures: grounding by spans, and the official metrics of the papers' datasets."""
