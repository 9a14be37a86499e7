"""What every other room may use and that knows nothing of growth.

Files written whole or not at all, errors, names, months, progress, clusters of machines.
"""
