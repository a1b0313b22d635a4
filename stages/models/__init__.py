"""Loading the frozen models: diffusion backbones and promptable segmenters."""
