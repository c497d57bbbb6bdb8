"""The only SQL. Each statement stands behind a function named for the question it answers."""
