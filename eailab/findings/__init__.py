"""Compute every number and statement of a study, once; no formats."""
