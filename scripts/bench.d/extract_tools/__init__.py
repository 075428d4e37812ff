"""The programs that `scripts/bench extract` starts: one a tool, each a process of its own, and what they share."""
