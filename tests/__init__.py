"""The tests. A folder is named after a behaviour; parts/ starts the real programs they run against."""
