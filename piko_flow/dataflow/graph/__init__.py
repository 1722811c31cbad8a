"""What a description is made of: boxes and edges, where each was written, and the types that functions promise."""
