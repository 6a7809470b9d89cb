"""Vision models: convolutional networks, Vision Transformers, MLP-Mixer."""
