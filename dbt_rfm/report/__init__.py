"""One page about published predictions, for whoever has to trust them: what each says, how good it was, what it rests
on. It reads and never writes; the warehouse counts, and no more than a handful of rows leave it."""
