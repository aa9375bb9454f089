"""Read data sets by name, and split them into training, validation and test images."""
