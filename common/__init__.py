"""Code that the namenode, the datanode and the client share: formats, errors, configuration."""
