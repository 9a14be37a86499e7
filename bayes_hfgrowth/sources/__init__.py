"""Where panels come from: the Hub, a bulk snapshot of it, or the shipped example."""
