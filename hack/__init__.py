"""Tools of the repository: control plane, NATS server, root file system of the tests; the demo."""
