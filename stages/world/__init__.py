"""The embedded world: scenes drawn from a seed, captions with gold phrases, and the models trained on them."""
