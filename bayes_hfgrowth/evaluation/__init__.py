"""Do the forecasts keep their promise? Scores, baselines, backtests."""
