"""Forecasts: paths of counts, tables of them, sums, and answers to questions about them."""
