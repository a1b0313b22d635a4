"""Training pairs → a small adapter of the text encoder, so that inversion needs few steps."""
