"""What runs inside a sandbox: standard-library files, started by path and never imported by the rest of the project."""
