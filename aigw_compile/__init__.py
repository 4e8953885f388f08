"""aigw-compile: one AI gateway spec to Kong, Envoy, Kubernetes and a reference proxy."""

__version__ = "0.1.0"
