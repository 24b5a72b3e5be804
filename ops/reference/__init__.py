"""Pages of the documentation that are generated from the code, so that they say what it does."""
