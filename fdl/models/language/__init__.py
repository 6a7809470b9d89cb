"""Language models: recurrent, encoder-decoder, BERT, GPT, Llama."""
