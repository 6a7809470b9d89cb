"""Configs: the common keys, overrides from the command line, functions by name.

Every mistake in a config is a `UserError` with the nearest valid name.
"""

from fdl.config.amounts import MAX_STEPS as MAX_STEPS
from fdl.config.amounts import every as every
from fdl.config.amounts import in_range as in_range
from fdl.config.amounts import num_steps as num_steps
from fdl.config.functions import make as make
from fdl.config.functions import partial as partial
from fdl.config.keys import OPTIONAL as OPTIONAL
from fdl.config.keys import PERIODS as PERIODS
from fdl.config.keys import RANGES as RANGES
from fdl.config.keys import base as base
from fdl.config.keys import check_ranges as check_ranges
from fdl.config.keys import complete as complete
from fdl.config.overrides import flat as flat
from fdl.config.overrides import override as override
