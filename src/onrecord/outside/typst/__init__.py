"""Setting type: what runs in the child process that makes pages, and the templates of pages."""
