"""The student's commands: shells that parse arguments and print. Nobody imports them."""
