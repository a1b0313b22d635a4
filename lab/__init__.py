"""The laboratory: studies, and the training of the embedded models. The product imports nothing of it."""
