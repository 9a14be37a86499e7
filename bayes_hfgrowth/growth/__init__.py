"""Every formula of growth, from the curve of attention to the count of a month.

`curve` and `attention` hold the curve and what follows from it, `transition` the law of a month;
its likelihood, gradient and simulated paths stand beside it.
"""
