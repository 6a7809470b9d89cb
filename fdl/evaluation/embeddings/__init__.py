"""Measures of embeddings: probes, clusters, disentanglement."""
