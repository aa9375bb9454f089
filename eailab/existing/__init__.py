"""Read results that exist already: files of others, as one table, assigned to arms and seeds."""
