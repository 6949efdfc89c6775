"""The library for compiled code: mixtures that are fitted in Python and evaluated elsewhere."""
