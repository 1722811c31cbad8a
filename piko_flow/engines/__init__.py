"""Engines beyond the local one: each unit in an interpreter of its own."""
