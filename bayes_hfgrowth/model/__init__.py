"""The growth model as it is specified: its file, its priors, and the PyMC model made of them.

The formulas of growth are in `bayes_hfgrowth.growth`.
"""
