"""One setting for all tests: four CPU devices, strict ranks, a compilation cache."""

import gc
import os
import pathlib
import tempfile

import jax
import pytest

# Simulated devices wait for each other, each in a thread: more of them than cores would
# wait for ever. XLA reads this when it starts.
os.environ.setdefault("NPROC", "16")
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# What jax keeps is never garbage, and takes long to look through.
gc.set_threshold(100_000, 20, 100)
CACHE = os.environ.get("FDL_CACHE_DIR", f"{tempfile.gettempdir()}/fdl-test-cache")
jax.config.update("jax_compilation_cache_dir", f"{CACHE}/jax-{jax.__version__}")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory):
    """Where this session's tests prepare data sets, so that they never touch yours."""
    if "TFDS_DATA_DIR" not in os.environ:
        os.environ["TFDS_DATA_DIR"] = str(tmp_path_factory.mktemp("data"))
    return pathlib.Path(os.environ["TFDS_DATA_DIR"])


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """What was compiled for one file is of no use to the next, and takes gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def mnist_dir():
    """The folder of the four MNIST files, named by FDL_MANUAL_DIR; or a skip."""
    folder = pathlib.Path(os.environ.get("FDL_MANUAL_DIR", "missing")) / "mnist"
    if not folder.is_dir():
        pytest.skip("needs MNIST: set FDL_MANUAL_DIR to a folder with mnist/*.gz")
    return folder
