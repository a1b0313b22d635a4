"""Image + text → token embeddings that say what the image shows."""
