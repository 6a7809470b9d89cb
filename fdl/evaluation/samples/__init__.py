"""Measures of samples: distances of distributions, precision, nearest examples."""
