"""The reference proxy: it runs a proxy.json, and knows nothing of specs, targets or compiling."""
