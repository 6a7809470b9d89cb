"""Papers of the models of the zoo."""

from typing import NamedTuple


class Paper(NamedTuple):
    """Publication.

    Attributes:
      authors: Last names, as they are cited.
      year: Year of the first version.
      title: Title.
      link: URL.
    """

    authors: str
    year: int
    title: str
    link: str

    def __str__(self) -> str:
        """Authors, year and link."""
        return f"{self.authors}, {self.year}  {self.link}"


ALEXNET = Paper(
    "Krizhevsky, Sutskever and Hinton",
    2012,
    "ImageNet Classification with Deep Convolutional Neural Networks",
    "https://doi.org/10.1145/3065386",
)
ALEXNET_ONE_TOWER = Paper(
    "Krizhevsky",
    2014,
    "One weird trick for parallelizing convolutional neural networks",
    "https://arxiv.org/abs/1404.5997",
)
AUTOENCODER = Paper(
    "Hinton and Salakhutdinov",
    2006,
    "Reducing the Dimensionality of Data with Neural Networks",
    "https://doi.org/10.1126/science.1127647",
)
BERT = Paper(
    "Devlin et al.",
    2018,
    "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    "https://arxiv.org/abs/1810.04805",
)
BERT_TINY = Paper(
    "Turc et al.",
    2019,
    "Well-Read Students Learn Better: On the Importance of Pre-training Compact Models",
    "https://arxiv.org/abs/1908.08962",
)
C51 = Paper(
    "Bellemare, Dabney and Munos",
    2017,
    "A Distributional Perspective on Reinforcement Learning",
    "https://arxiv.org/abs/1707.06887",
)
CONVNEXT = Paper(
    "Liu et al.", 2022, "A ConvNet for the 2020s", "https://arxiv.org/abs/2201.03545"
)
DCGAN = Paper(
    "Radford, Metz and Chintala",
    2015,
    "Unsupervised Representation Learning with Deep Convolutional Generative "
    "Adversarial Networks",
    "https://arxiv.org/abs/1511.06434",
)
DDPM = Paper(
    "Ho, Jain and Abbeel",
    2020,
    "Denoising Diffusion Probabilistic Models",
    "https://arxiv.org/abs/2006.11239",
)
DEIT = Paper(
    "Touvron et al.",
    2020,
    "Training data-efficient image transformers & distillation through attention",
    "https://arxiv.org/abs/2012.12877",
)
DENSENET = Paper(
    "Huang et al.",
    2016,
    "Densely Connected Convolutional Networks",
    "https://arxiv.org/abs/1608.06993",
)
DQN = Paper(
    "Mnih et al.",
    2015,
    "Human-level Control through Deep Reinforcement Learning",
    "https://doi.org/10.1038/nature14236",
)
DRQN = Paper(
    "Hausknecht and Stone",
    2015,
    "Deep Recurrent Q-Learning for Partially Observable MDPs",
    "https://arxiv.org/abs/1507.06527",
)
DUELING_DQN = Paper(
    "Wang et al.",
    2015,
    "Dueling Network Architectures for Deep Reinforcement Learning",
    "https://arxiv.org/abs/1511.06581",
)
EFFICIENTNET = Paper(
    "Tan and Le",
    2019,
    "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    "https://arxiv.org/abs/1905.11946",
)
ELMAN = Paper(
    "Elman",
    1990,
    "Finding Structure in Time",
    "https://doi.org/10.1207/s15516709cog1402_1",
)
GPT2 = Paper(
    "Radford et al.",
    2019,
    "Language Models are Unsupervised Multitask Learners",
    "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
)
GRU = Paper(
    "Cho et al.",
    2014,
    "Learning Phrase Representations using RNN Encoder-Decoder for Statistical "
    "Machine Translation",
    "https://arxiv.org/abs/1406.1078",
)
KIM = Paper(
    "Kim",
    2014,
    "Convolutional Neural Networks for Sentence Classification",
    "https://arxiv.org/abs/1408.5882",
)
LENET5 = Paper(
    "LeCun et al.",
    1998,
    "Gradient-Based Learning Applied to Document Recognition",
    "https://doi.org/10.1109/5.726791",
)
LLAMA2 = Paper(
    "Touvron et al.",
    2023,
    "Llama 2: Open Foundation and Fine-Tuned Chat Models",
    "https://arxiv.org/abs/2307.09288",
)
LLAMA2_C = Paper("Karpathy", 2023, "llama2.c", "https://github.com/karpathy/llama2.c")
LLAMA3 = Paper(
    "Grattafiori et al.",
    2024,
    "The Llama 3 Herd of Models",
    "https://arxiv.org/abs/2407.21783",
)
LSTM = Paper(
    "Hochreiter and Schmidhuber",
    1997,
    "Long Short-Term Memory",
    "https://doi.org/10.1162/neco.1997.9.8.1735",
)
MAE = Paper(
    "He et al.",
    2021,
    "Masked Autoencoders Are Scalable Vision Learners",
    "https://arxiv.org/abs/2111.06377",
)
MINATAR = Paper(
    "Young and Tian",
    2019,
    "MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible "
    "Reinforcement Learning Experiments",
    "https://arxiv.org/abs/1903.03176",
)
MIXER = Paper(
    "Tolstikhin et al.",
    2021,
    "MLP-Mixer: An all-MLP Architecture for Vision",
    "https://arxiv.org/abs/2105.01601",
)
MOBILENET_V2 = Paper(
    "Sandler et al.",
    2018,
    "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    "https://arxiv.org/abs/1801.04381",
)
NANOGPT = Paper("Karpathy", 2022, "nanoGPT", "https://github.com/karpathy/nanoGPT")
NIELSEN = Paper(
    "Nielsen",
    2015,
    "Neural Networks and Deep Learning",
    "http://neuralnetworksanddeeplearning.com",
)
PIXELCNN = Paper(
    "van den Oord, Kalchbrenner and Kavukcuoglu",
    2016,
    "Pixel Recurrent Neural Networks",
    "https://arxiv.org/abs/1601.06759",
)
PIXEL_TRANSFORMER = Paper(
    "Chen et al.",
    2020,
    "Generative Pretraining from Pixels",
    "https://proceedings.mlr.press/v119/chen20s.html",
)
PPO = Paper(
    "Schulman et al.",
    2017,
    "Proximal Policy Optimization Algorithms",
    "https://arxiv.org/abs/1707.06347",
)
QR_DQN = Paper(
    "Dabney et al.",
    2017,
    "Distributional Reinforcement Learning with Quantile Regression",
    "https://arxiv.org/abs/1710.10044",
)
RBM = Paper(
    "Salakhutdinov and Murray",
    2008,
    "On the Quantitative Analysis of Deep Belief Networks",
    "https://doi.org/10.1145/1390156.1390266",
)
REALNVP = Paper(
    "Dinh, Sohl-Dickstein and Bengio",
    2016,
    "Density Estimation Using Real NVP",
    "https://arxiv.org/abs/1605.08803",
)
RESNET = Paper(
    "He et al.",
    2015,
    "Deep Residual Learning for Image Recognition",
    "https://arxiv.org/abs/1512.03385",
)
RESNEXT = Paper(
    "Xie et al.",
    2016,
    "Aggregated Residual Transformations for Deep Neural Networks",
    "https://arxiv.org/abs/1611.05431",
)
RNNSEARCH = Paper(
    "Bahdanau, Cho and Bengio",
    2014,
    "Neural Machine Translation by Jointly Learning to Align and Translate",
    "https://arxiv.org/abs/1409.0473",
)
SAC = Paper(
    "Haarnoja et al.",
    2018,
    "Soft Actor-Critic Algorithms and Applications",
    "https://arxiv.org/abs/1812.05905",
)
SIMCLR = Paper(
    "Chen et al.",
    2020,
    "A Simple Framework for Contrastive Learning of Visual Representations",
    "https://arxiv.org/abs/2002.05709",
)
TD3 = Paper(
    "Fujimoto, van Hoof and Meger",
    2018,
    "Addressing Function Approximation Error in Actor-Critic Methods",
    "https://arxiv.org/abs/1802.09477",
)
TINYLLAMA = Paper(
    "Zhang et al.",
    2024,
    "TinyLlama: An Open-Source Small Language Model",
    "https://arxiv.org/abs/2401.02385",
)
TRANSFORMER = Paper(
    "Vaswani et al.",
    2017,
    "Attention Is All You Need",
    "https://arxiv.org/abs/1706.03762",
)
UNET = Paper(
    "Ronneberger, Fischer and Brox",
    2015,
    "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    "https://arxiv.org/abs/1505.04597",
)
VAE = Paper(
    "Kingma and Welling",
    2013,
    "Auto-Encoding Variational Bayes",
    "https://arxiv.org/abs/1312.6114",
)
VGG = Paper(
    "Simonyan and Zisserman",
    2014,
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "https://arxiv.org/abs/1409.1556",
)
VIT = Paper(
    "Dosovitskiy et al.",
    2020,
    "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
    "https://arxiv.org/abs/2010.11929",
)
VQVAE = Paper(
    "van den Oord, Vinyals and Kavukcuoglu",
    2017,
    "Neural Discrete Representation Learning",
    "https://arxiv.org/abs/1711.00937",
)
WIDE_RESNET = Paper(
    "Zagoruyko and Komodakis",
    2016,
    "Wide Residual Networks",
    "https://arxiv.org/abs/1605.07146",
)
ZAREMBA = Paper(
    "Zaremba, Sutskever and Vinyals",
    2014,
    "Recurrent Neural Network Regularization",
    "https://arxiv.org/abs/1409.2329",
)
