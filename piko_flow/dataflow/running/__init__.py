"""One run from its start to its outcome: tasks, channels, threads, cancellation, and what units share."""
