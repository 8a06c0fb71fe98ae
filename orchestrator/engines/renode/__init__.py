"""The Renode engine. In: a platform, images. Out: the same board, run by Renode in a child process."""
