"""Who moves traffic: one proxy or mesh a file, all behind the port `Router`."""
