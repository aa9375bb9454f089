"""Train: engines turn a recipe, data and a block into epochs. They print nothing."""
