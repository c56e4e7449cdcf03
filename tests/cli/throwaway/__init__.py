"""Commands that exist only to try the table of commands."""
