"""Panels: counts of fine-tunes by base model and month of age, checked and ready for a model.

Also who published what, and where months of age lie on the calendar.
"""
