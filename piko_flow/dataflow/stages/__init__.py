"""The stages that users write and join with `>>`: where items come from, what is done to them, where they end.

Promises: a stage is a frozen value, so any number of pipelines can share it; a wrong option, function or joint is
refused on the line that writes it, with an error that says the rule and what to do.
Does not run: no item is read, no resource is opened, no task or process is started here.

Start reading in `stage.py`, then `transform.py`. May know the rooms graph and reports. Planning, running and drawing
are above this room; `actions.py` is the protocol through which a stage reaches them.
"""
