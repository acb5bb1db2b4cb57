"""The commands: each one parses, calls the library and renders; none computes, formats or exits by itself."""
