"""The programs that `scripts/bench compare` starts: the generator and one a tool. Each is a process of its own."""
