"""Loaders of the frozen models: diffusion backbones (`diffusion`) and the SAM family (`sam`).

Imports no stage. Weights are read from safetensors only, never from pickles.
"""
