"""The teacher's command: a shell that parses arguments and prints. Nobody imports it."""
