"""A person's own code in a file that they name: how it is named, loaded and run."""
