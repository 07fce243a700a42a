"""The runtime kit: everything between a pure decision and the world. Knows no service."""
