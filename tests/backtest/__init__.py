"""What judges would have decided: `canary backtest`, on files of samples and on a real Prometheus."""
