"""Every number and statement of a study, computed once; no formats."""
