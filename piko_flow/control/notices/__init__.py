"""Telling people that something is wrong, once, and once more when it is over.

Promises: of several replicas one tells; a place that does not answer delays nothing else. Does not decide how a flow stands:
the room flows does.

Start reading in `notices.py`, then `notice_rules.py`. May know the rooms replica, leader and flows.
"""
