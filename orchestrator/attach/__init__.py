"""Memory of a board that somebody else runs: behind a gdb server, or dumped to files. It is read, and never written."""
