"""Settings of the process: compilation cache, memory allocation, threads."""

import ctypes
import logging
import os
import pathlib
import platform
import re
import warnings

import jax

# Of jax 0.10 to 0.12, the versions in which the fault was seen and the flag is known.
# Products by themselves keep NaN, and are twice as fast by this library.
WITHOUT_FUSION = (
    "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
)
FIRST_UNTESTED = (0, 13)


def prepare(*, keep_memory: bool = True) -> None:
    """Sets up logging, compilation cache and memory, before the first computation."""
    # Orbax logs a traceback of every error that it raises, and matplotlib that it keeps
    # its cache in a temporary folder where there is no home folder.
    for name in ("absl", "asyncio", "matplotlib"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    cache_compilations()
    spare_threads()
    propagate_nan()
    if keep_memory:
        keep_freed_memory()


def keep_freed_memory() -> bool:
    """Makes glibc keep freed memory for the next step, instead of returning it.

    XLA on the CPU allocates the buffers of every step by malloc, and glibc returns
    large ones to the system each time, which costs up to 180,000 page faults per step.
    Memory is kept for the main thread only, so programs run there: no step is prepared
    while another runs, which slows small steps by a tenth, unless they are fused.
    Resident memory grows. Linux with glibc only; no effect on a GPU.

    Returns:
      True if the settings were made.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mmap_max, top_pad, trim_threshold = -4, -2, -1  # Parameters of malloc.h.
    libc = ctypes.CDLL(None)
    # All memory comes from the heap, which never shrinks and grows by 64 MiB at least.
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 64 << 20)
    # Synchronous dispatch runs programs in the calling thread.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return True


def cache_compilations() -> None:
    """Sets JAX's compilation cache to ``FDL_CACHE_DIR``; default: ``~/.cache/fdl``.

    ``FDL_CACHE_DIR=off`` turns it off.
    """
    setting = os.environ.get("FDL_CACHE_DIR", "")
    if setting == "off":
        return
    try:
        root = pathlib.Path(setting or "~/.cache/fdl").expanduser()
        folder = root / f"jax-{jax.__version__}"
        folder.mkdir(parents=True, exist_ok=True)
    # Without a home folder, or one that can be written: no reason not to train.
    except (OSError, RuntimeError):
        return
    # A killed process may leave a partial entry, which is then compiled again.
    warnings.filterwarnings("ignore", "Error .* persistent compilation cache entry")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def spare_threads() -> None:
    """Enlarges XLA's pool of threads for simulated devices.

    Each device runs in a thread of the pool and waits for the others there, so that
    with more devices than cores a program would wait for ever.
    """
    devices = os.environ.get("JAX_NUM_CPU_DEVICES", "1")
    if re.fullmatch("[0-9]{1,9}", devices) and int(devices) > 1:
        # XLA reads it when it starts.
        os.environ.setdefault("NPROC", str(4 * int(devices)))


def propagate_nan() -> None:
    """Turns off fusions of XLA on the CPU that lose NaN, before the first program.

    With them, a maximum of 4096 numbers or more, or a sum of as many that went through
    a ReLU or a clip, leaves NaN out: the logits of a ResNet whose activations are all
    NaN are finite, and so is its loss.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    name, _, _ = WITHOUT_FUSION.partition("=")
    # XLA ends the process at a flag that it does not know.
    if name not in flags and jax.__version_info__ < FIRST_UNTESTED:
        os.environ["XLA_FLAGS"] = f"{flags} {WITHOUT_FUSION}".strip()
