"""Name, load and run a person's own code in a file that they name."""
