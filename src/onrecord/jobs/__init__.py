"""What happens beside the requests: a face over `domain`, as `web` is for requests."""
