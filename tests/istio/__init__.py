"""VirtualServices as plain data: which routes move, and the patches that move them."""
