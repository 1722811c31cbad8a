"""What people learn of a run: facts for observers, the report and its texts."""
