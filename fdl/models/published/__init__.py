"""Published models: folders of Hugging Face's layout, and of its hub."""

from fdl.models.published.folder import from_folder, to_folder
from fdl.models.published.hub import from_hub, from_source
from fdl.models.published.record import Published

__all__ = ["Published", "from_folder", "from_hub", "from_source", "to_folder"]
