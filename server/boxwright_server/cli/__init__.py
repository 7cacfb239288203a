"""The server's command: a shell that parses arguments. Nobody imports it."""
