"""Every formula of growth: the curve, the law of a month, its likelihood, gradient and paths."""
