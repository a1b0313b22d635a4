"""Experiments compared."""
