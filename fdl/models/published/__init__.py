"""Published models: folders of Hugging Face's layout, read and written."""

from fdl.models.published.folder import from_folder, to_folder
from fdl.models.published.record import Published

__all__ = ["Published", "from_folder", "to_folder"]
