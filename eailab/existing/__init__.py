"""Results that exist already: files of others, read into one table and assigned to arms and seeds."""
