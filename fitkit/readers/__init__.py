"""Tables: the `data:` section of a config, and what turns it into columns in memory."""

from __future__ import annotations

from fitkit.readers.data import Data
from fitkit.readers.row_scales import row_weights, standard_errors
from fitkit.readers.table import Table, read_header, read_table

__all__ = ["Data", "Table", "read_header", "read_table", "row_weights", "standard_errors"]
