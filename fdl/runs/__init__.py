"""Runs: experiment files, run directories, checkpoints, logs and claims."""
