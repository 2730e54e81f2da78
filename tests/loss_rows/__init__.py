"""The rows of the table of losses, by family."""
