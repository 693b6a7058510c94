"""Records of pictures that are not answers of `insight`."""
