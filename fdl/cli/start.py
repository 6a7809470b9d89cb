"""What is set before jax wakes: the compilation cache, and memory that is kept."""

import ctypes
import logging
import os
import pathlib
import platform
import warnings


def start(*, keep_memory: bool = True) -> None:
    """Prepares the process; call it before the first computation."""
    for name in ("absl", "asyncio"):  # Orbax also logs tracebacks of what it raises.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    cache_compilations()
    spare_threads()
    if keep_memory:
        keep_freed_memory()


def keep_freed_memory() -> bool:
    """Tells glibc to keep what a step frees, so that the next one need not fault it in.

    XLA on the CPU takes the buffers of every step from malloc, and glibc gives large
    ones back to the system each time: up to 180,000 page faults a step. It keeps them
    for the main thread only, so that is where programs then run: no step is prepared
    while another runs, which costs small steps a tenth, unless they are fused. Resident
    memory grows. Linux with glibc only; nothing changes on a GPU.

    Returns:
      Whether it was done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    import jax

    mmap_max, top_pad, trim_threshold = -4, -2, -1  # As malloc.h has them.
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 64 << 20)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return True


def cache_compilations() -> None:
    """Keeps compiled programs in ``~/.cache/fdl``; ``FDL_CACHE_DIR`` moves it.

    ``FDL_CACHE_DIR=off`` turns it off.
    """
    import jax

    place = os.environ.get("FDL_CACHE_DIR", "")
    if place == "off":
        return
    folder = (
        pathlib.Path(place or "~/.cache/fdl").expanduser() / f"jax-{jax.__version__}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # A cache that cannot be written is no reason not to train.
    # A killed process may leave half an entry: it is compiled again, and that is all.
    warnings.filterwarnings("ignore", "Error .* persistent compilation cache entry")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def spare_threads() -> None:
    """Gives simulated devices threads enough.

    They wait for each other, each in a thread of its own: more of them than there are
    cores would wait for ever. XLA reads the variable when it starts.
    """
    devices = os.environ.get("JAX_NUM_CPU_DEVICES", "1")
    if devices.isdigit() and int(devices) > 1:
        os.environ.setdefault("NPROC", str(4 * int(devices)))
