"""How a pipeline will run: its operators, the channels between them, its units, and the options of the run.

Promises: a plan is a frozen value, and every engine reads the same one; what cannot run is refused before an item is
read. The id of a unit is the same in every process, so that a resumed run finds the units that it has done.
Does not read items and opens nothing. The only function of the user that it calls is the one that gives the splits.

Start reading in `plan.py`. May know the rooms stages, graph and reports.
"""
