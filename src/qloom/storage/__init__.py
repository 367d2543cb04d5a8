"""Where the records of jobs are kept. `FolderStore`: one folder per job."""

from qloom.storage.folder import FolderStore

__all__ = ["FolderStore"]
