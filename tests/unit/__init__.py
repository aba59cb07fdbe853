"""A package, so that a file here may carry the name of one in tests/functional/."""
