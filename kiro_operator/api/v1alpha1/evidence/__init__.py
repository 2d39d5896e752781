"""Where a KiroHealthCheck's evidence is: one file a section of its spec."""
