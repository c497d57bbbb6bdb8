"""The world beyond the database, each piece behind a Protocol of `model.ports`."""
