"""The server that the official conformance suite is run against: boxes through our registry, plain fixtures beside them."""
