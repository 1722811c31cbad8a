"""A store that lives in this process: for tests, simulations and runs that need not outlive it."""

from piko_flow.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
