"""Who knows how many replicas can answer: one source a file, all behind the port `Workloads`."""
