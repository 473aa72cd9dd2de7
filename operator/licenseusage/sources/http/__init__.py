"""How a server is asked over HTTP: one request after the other, bounded, signed in, explained."""
