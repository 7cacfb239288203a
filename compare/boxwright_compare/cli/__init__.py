"""Commands of the comparison: shells that parse arguments and print. Nobody imports them."""
