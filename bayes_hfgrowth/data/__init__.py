"""Data shipped with the package; see the data card, README.md, beside this file."""
