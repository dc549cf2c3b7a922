"""Real outputs and expected trees; README.md says how each was taken."""
