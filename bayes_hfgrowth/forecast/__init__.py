"""Forecasts: paths of counts, tables of them, sums, and answers to questions about them.

They start from draws of a posterior and know nothing of how these were made.
"""
