"""What was stated: cycles closed and amended, chains, the outbox."""
