"""Experiments compared: each study writes a configuration, lets Snakemake run it, and tabulates the scores.

What two experiments share (parses, inversions, maps) Snakemake makes once, and a study that is started again goes on
where it stopped.
"""
