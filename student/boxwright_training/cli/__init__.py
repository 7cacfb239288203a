"""Commands of training: shells that parse arguments and print. Nobody imports them."""
