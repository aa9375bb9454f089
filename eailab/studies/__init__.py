"""Compare recipes: a factor, its levels and blocks become the trials of a controlled study."""
