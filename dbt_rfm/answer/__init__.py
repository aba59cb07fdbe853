"""What becomes of an answer: which model and weights gave it, the line told of it, its rows, its bundle."""
