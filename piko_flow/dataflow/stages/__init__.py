"""The stages that people compose, with `>>` and the options of each; they know nothing of how they are run."""
