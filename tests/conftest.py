"""Settings of all tests: four CPU devices, strict ranks, counted compilations."""

import collections
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
if CACHE != "off":
    jax.config.update("jax_compilation_cache_dir", f"{CACHE}/jax-{jax.__version__}")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

# Compiling takes most of the time of the tests, and most of that are passes that make
# large programs fast, the newer of two code generators, and the parts into which a
# program is split for threads. Tests do without them, unless FDL_TEST_OPTIMIZED is set,
# as ./scripts/test -m slow does.
OPTIMIZED = bool(os.environ.get("FDL_TEST_OPTIMIZED"))
jax.config.update("jax_disable_most_optimizations", not OPTIMIZED)
if not OPTIMIZED and jax.__version_info__ < (0, 11):  # XLA refuses flags of other ages.
    flags = os.environ.get("XLA_FLAGS", "")
    flags_of_tests = [
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
    ]
    os.environ["XLA_FLAGS"] = " ".join([flags, *flags_of_tests])
    jax.devices()  # XLA has read the flags: processes that tests start have none.
    os.environ["XLA_FLAGS"] = flags
MAX_PROGRAMS = 100  # Of a test file that states no PROGRAMS of its own.
MAX_GROWTH = 3 << 30  # Bytes that a process may gain before it forgets its programs.

compiled: collections.Counter[str] = collections.Counter()
memory_before = [0]  # After programs were last forgotten.


@jax.monitoring.register_event_duration_secs_listener
def count_programs(event: str, seconds: float, **details: str) -> None:
    """Counts what XLA is given to compile, also where the cache on disk has it."""
    del seconds, details
    if event == "/jax/core/compile/backend_compile_duration":
        compiled["programs"] += 1


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory):
    """Where this session's tests prepare data sets, so that they never touch yours."""
    if "TFDS_DATA_DIR" not in os.environ:
        os.environ["TFDS_DATA_DIR"] = str(tmp_path_factory.mktemp("data"))
    return pathlib.Path(os.environ["TFDS_DATA_DIR"])


@pytest.fixture(scope="session", autouse=True)
def state_dir(tmp_path_factory):
    """Where this session's tests record what they train, so never in your home."""
    os.environ["FDL_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module", autouse=True)
def programs(request):
    """Counts what a test file compiles, against its ``PROGRAMS``.

    A file that needs more than `MAX_PROGRAMS` has to say so, since that is where the
    time of the tests goes.
    """
    before = compiled["programs"]
    yield
    count = compiled["programs"] - before
    if memory() - memory_before[0] > MAX_GROWTH:
        jax.clear_caches()
        memory_before[0] = memory()  # The allocator does not give all of it back.
    most = getattr(request.module, "PROGRAMS", MAX_PROGRAMS)
    # Slow tests may repeat an experiment a thousand times.
    fits = OPTIMIZED or count <= most
    assert fits, f"{request.path.name} compiled {count} programs, not {most}"


@pytest.fixture
def optimized():
    """Compiles as for users, for a test that compares the bits of two programs."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", not OPTIMIZED)


def memory() -> int:
    """Bytes that this process has in memory; none where nobody knows."""
    try:
        pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def mnist_dir():
    """The folder of the four MNIST files, named by FDL_MANUAL_DIR; or a skip."""
    folder = pathlib.Path(os.environ.get("FDL_MANUAL_DIR", "missing")) / "mnist"
    if not folder.is_dir():
        pytest.skip("needs MNIST: set FDL_MANUAL_DIR to a folder with mnist/*.gz")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks all but some cases of a test as slow: evenly spaced ones stay."""
    cases = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("some") and not item.get_closest_marker("slow"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for group in cases.values():
        (count,) = group[0].get_closest_marker("some").args
        last = len(group) - 1
        kept = {round(last * i / max(1, count - 1)) for i in range(count)}
        for i, item in enumerate(group):
            if i not in kept:
                item.add_marker(pytest.mark.slow)
