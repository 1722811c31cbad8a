"""Processes that call functions for CPU stages: started, given functions and chunks, replaced when they die."""
