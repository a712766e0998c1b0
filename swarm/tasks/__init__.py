"""Tasks: questions drawn by seed, and the scorers that grade answers. `mix.Mix` is all tasks of one recipe."""
