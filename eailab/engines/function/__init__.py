"""Run a training function of Python as a trial."""
