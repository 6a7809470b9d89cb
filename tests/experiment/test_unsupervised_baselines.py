import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

import fdl
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
PARTS = [
    {
        "image": RANDOM.integers(17, size=(size, 2, 2, 1)).astype(np.uint8),
        "label": np.arange(size) % 3,
    }
    for size in (60, 20, 30)
]
SPLITS = fdl.data.Splits(*PARTS)
CONFIG = fdl.config.base()
CONFIG.update({"num_steps": 1, "batch_size": 4, "optimizer": {}})
PLAIN = fdl.supervised(
    CONFIG,
    SPLITS,
    fdl.data.preprocessing.images((2, 2, 1), white=16),
    fdl.models.Autoencoder((), 2, input_shape=(2, 2, 1)),
    fdl.experiment.reconstruction(),
)
ALONE = PLAIN._replace(
    evaluate=lambda variables: {"loss": 1.0}, test=lambda variables: {"loss": 2.0}
)


def test_each_estimator_has_the_scores_of_what_it_can_do():
    estimators = {
        "pca": PCA(2),
        "k_means": KMeans(3, n_init=3, random_state=0),
        "mixture": GaussianMixture(2, random_state=0),
    }
    together = fdl.experiment.with_unsupervised_baselines(ALONE, SPLITS, estimators)
    train, validation, test = (
        part["image"].reshape(len(part["image"]), 4) / 16 for part in PARTS
    )
    pca = PCA(2).fit(train)
    k_means = KMeans(3, n_init=3, random_state=0).fit(train)
    mixture = GaussianMixture(2, random_state=0).fit(train)
    for found, loss, x, part in (
        (together.evaluate({}), 1.0, validation, PARTS[1]),
        (together.test({}), 2.0, test, PARTS[2]),
    ):
        restored = pca.inverse_transform(pca.transform(x))
        nmi = normalized_mutual_info_score(part["label"], k_means.predict(x))
        assert found["loss"] == loss
        assert found["pca_loss"] == pytest.approx(((restored - x) ** 2).mean(), 1e-5)
        assert found["k_means_nmi"] == pytest.approx(nmi)
        log_densities = mixture.score_samples(x)
        assert found["mixture_nll"] == pytest.approx(-log_densities.mean(), 1e-4)
        assert {*found} == {
            *("loss", "pca_loss", "mixture_nll"),
            *("k_means_nmi", "k_means_ari", "k_means_purity"),
            *("mixture_nmi", "mixture_ari", "mixture_purity"),
        }


def test_classes_are_not_needed():
    splits = fdl.data.Splits(*({"image": part["image"]} for part in PARTS))
    together = fdl.experiment.with_unsupervised_baselines(
        ALONE, splits, {"mixture": GaussianMixture(1)}
    )
    assert {*together.test({})} == {"loss", "mixture_nll"}


def test_what_is_no_baseline_is_told():
    with pytest.raises(UserError, match=r"estimators\['x'\]=3: expected one with pred"):
        fdl.experiment.with_unsupervised_baselines(ALONE, SPLITS, {"x": 3})
    with pytest.raises(UserError, match="inputs='pixels'"):
        fdl.experiment.with_unsupervised_baselines(
            ALONE, SPLITS, {"pca": PCA(2)}, inputs="pixels"
        )
