"""Tabular data: CSV files and scikit-learn tables, encoded as arrays."""
