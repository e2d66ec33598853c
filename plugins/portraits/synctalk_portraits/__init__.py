"""Portrait generators: what is delivered, the rendering alone or set into the original frame."""
