"""Points to masks by a promptable segmenter, or maps to masks by a threshold."""
