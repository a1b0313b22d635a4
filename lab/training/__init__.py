"""The embedded models: trained on the drawn scenes of `stages.world`, and measured."""
