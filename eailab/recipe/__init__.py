"""Define what is asked: recipes, their files, their variations and their identity."""
