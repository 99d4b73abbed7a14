"""What several mappings share: the contract of a map and its files, the families of maps, how networks are trained."""
