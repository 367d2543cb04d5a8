"""Where the records of jobs are kept. `FolderStore`: one folder per job; `MapStore`: maps; `input_files`: what an input is."""

from qloom.storage.folder import FolderStore, input_files
from qloom.storage.maps import MapRecord, MapStore

__all__ = ["FolderStore", "MapRecord", "MapStore", "input_files"]
