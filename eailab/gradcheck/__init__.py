"""Check gradients that are written by hand against central differences."""
