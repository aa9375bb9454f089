"""A course's lab: folders for students, reports that are filled from the store, and marks by a rubric."""
