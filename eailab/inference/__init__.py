"""Apply finished trials' networks to new images, here and in other software."""
