"""Jobs as rows of the warehouse (`bus.py`), and the loop that answers them on another machine (`loop.py`)."""
