"""Small machinery that the rooms share: files, values, processes."""
