"""Tools of the repository: the control plane for demo and tests, and the demo itself."""
