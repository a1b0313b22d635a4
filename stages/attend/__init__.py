"""Embeddings → one averaged attention map a word."""
