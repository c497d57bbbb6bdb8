"""OnRecord: a messenger for organisations and their clients in which nothing said is ever lost."""

__version__ = "0.1.0"
