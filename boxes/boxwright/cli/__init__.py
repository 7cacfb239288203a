"""Commands of the kernel: shells around it that parse arguments and print. Nobody imports them."""
