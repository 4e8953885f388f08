"""The policies of the proxy, one a file, with the same names as the compiler's."""
