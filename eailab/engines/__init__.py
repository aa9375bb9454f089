"""How it learns: engines turn a recipe, data and a block into epochs. They write no files and print nothing."""
