"""Generative models: autoencoders, VAEs, GANs, diffusion U-Nets, normalising flows."""
