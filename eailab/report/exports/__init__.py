"""Export studies to files of the tools that people already use, from a store alone."""
