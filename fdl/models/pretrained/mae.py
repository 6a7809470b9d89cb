"""Conversion rules of MAE for checkpoints of Hugging Face transformers."""

from fdl.models.pretrained.layer_rules import conv, dense, layer_norm
from fdl.models.pretrained.rules import Rule, Rules
from fdl.models.pretrained.vit import transformers_layers

# Position embeddings are sinusoids, which are computed and not loaded.
TRANSFORMERS: Rules = [
    Rule("vit.embeddings.cls_token", "params/vit/class_token"),
    Rule("vit.embeddings.position_embeddings", ()),
    *conv("vit.embeddings.patch_embeddings.projection", "vit/embedding"),
    *transformers_layers("vit.encoder.layer.{i}", "vit/encoder/layers_{i}"),
    *layer_norm("vit.layernorm", "vit/norm"),
    Rule("decoder.mask_token", "params/mask_token"),
    Rule("decoder.decoder_pos_embed", ()),
    *dense("decoder.decoder_embed", "decoder_embedding"),
    *transformers_layers("decoder.decoder_layers.{i}", "decoder/layers_{i}"),
    *layer_norm("decoder.decoder_norm", "decoder_norm"),
    *dense("decoder.decoder_pred", "prediction"),
]
