"""Give out a course's labs, fill their reports from the store, and mark them by a rubric."""
