"""The backtest: how the model did on the newest closed window, beside what needs no model (`backtest.py`)."""
