"""Names of torchvision and timm for sizes of the zoo, which errors answer with ours."""

PUBLISHED_NAMES = {  # Theirs: ours, where they differ.
    "convnext_base": "convnext_b",
    "convnext_small": "convnext_s",
    "convnext_tiny": "convnext_t",
    "gpt2": "gpt2_small",
    "mixer_b16_224": "mixer_b16",
    "mixer_l16_224": "mixer_l16",
    "mixer_s16_224": "mixer_s16",
    "mixer_s32_224": "mixer_s32",
    "mobilenetv2_100": "mobilenet_v2",
    "vit_b_16": "vit_b16",
    "vit_b_32": "vit_b32",
    "vit_base_patch16_224": "vit_b16",
    "vit_base_patch32_224": "vit_b32",
    "vit_l_16": "vit_l16",
    "vit_large_patch16_224": "vit_l16",
    "vit_small_patch16_224": "vit_s16",
    "vit_tiny_patch16_224": "vit_ti16",
    "wide_resnet50": "wide_resnet50_2",
}
