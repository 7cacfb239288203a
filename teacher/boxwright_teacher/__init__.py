"""The teacher: attempts tasks, and turns what it had to compute into boxes."""
