"""What is done with draws of a posterior: stored, checked, shared, simulated from.

Also the posterior of base models that were in no fit, given the population.
"""
