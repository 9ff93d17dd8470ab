"""The Python door: `Hushwire` and `AsyncHushwire`, a method for each core action."""
