"""Gradient transformations that optax lacks, or has with other defaults."""
