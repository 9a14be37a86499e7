"""From a specification and a history to draws of the posterior.

Two engines, and the coordinates, gradients and pilot runs of the fast one.
"""
