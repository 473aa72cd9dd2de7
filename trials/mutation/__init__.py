"""Break the rules of ``metering`` one at a time, and see whether a test notices."""
