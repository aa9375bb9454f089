"""Images and their division: data sets by name, and the split into training, validation and test."""
